"""qmail-qmqpc: qmail-queue's descriptors and exit codes in front of a QMQP server."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from qmail.qmqpc import address_of
from tests.support import launchers
from tests.support.instance import make_instance
from tests.support.network import own_address

MESSAGE, ENVELOPE = b"Subject: x\n\nhi\n", b"Fs@x\0Ta@b\0Tc@d\0\0"
REQUEST = b"37:15:Subject: x\n\nhi\n,3:s@x,3:a@b,3:c@d,,"
ADDRESS, SECOND, NOBODY = map(own_address, range(3))


def qmqpc(home: Path, message: bytes = MESSAGE, envelope: bytes = ENVELOPE) -> int:
    with tempfile.TemporaryFile() as first, tempfile.TemporaryFile() as second:
        for file, content in ((first, message), (second, envelope)):
            file.write(content)
            file.seek(0)
        environment = {"PATH": "/bin:/usr/bin", "QMAILHOME": str(home)}
        done = subprocess.run(
            [launchers.ours("qmail-qmqpc")], stdin=first, stdout=second, stderr=subprocess.PIPE, env=environment
        )
        assert done.stderr == b""
        return done.returncode


class Server:
    """Answers one request; `told` is what it was sent."""

    def __init__(self, answer: bytes, address: str = ADDRESS) -> None:
        self.answer, self.told = answer, b""
        try:
            self.listener = socket.create_server((address, 628), family=socket.AF_INET6 if ":" in address else 2)
        except OSError as e:
            pytest.skip(f"cannot be a QMQP server here: {e}")
        self.thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            while not self.told.endswith(b",,"):
                self.told += connection.recv(65536)
            connection.sendall(self.answer)

    def __enter__(self) -> Server:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.join()
        self.listener.close()


@pytest.mark.parametrize(  # probe 59
    ("answer", "code"),
    [(b"23:Kok 1795420515 qp 19535,", 0), (b"10:Zok foo ba,", 71), (b"3:Dno,", 31), (b"", 74), (b"1:x,", 74)],
)
def test_the_servers_verdict_is_the_exit_code(tmp_path: Path, answer: bytes, code: int) -> None:
    home = make_instance(tmp_path, qmqpservers=f"host.example\n{NOBODY}\n{ADDRESS} and a comment\n")
    with Server(answer) as server:
        assert qmqpc(home) == code
    assert server.told == REQUEST


def test_no_further_server_is_tried_once_one_has_been_reached(tmp_path: Path) -> None:
    home = make_instance(tmp_path, qmqpservers=f"{ADDRESS}\n{SECOND}\n")
    with Server(b"") as first, socket.create_server((SECOND, 628)) as second:
        assert qmqpc(home) == 74
        second.setblocking(False)
        with pytest.raises(BlockingIOError):
            second.accept()
    assert first.told == REQUEST


def test_a_server_may_have_an_ipv6_address(tmp_path: Path) -> None:
    if not os.path.exists("/proc/net/if_inet6") or not Path("/proc/net/if_inet6").read_text():
        pytest.skip("no IPv6 on this machine")
    with Server(b"1:K,", "::1"):
        assert qmqpc(make_instance(tmp_path, qmqpservers="::1\n")) == 0


@pytest.mark.parametrize(
    ("servers", "code"),
    [("NOBODY\n", 73), ("NOBODY\nNOBODY\n", 73), ("host.example\n", 55), ("", 55), (None, 55)],
)
def test_without_a_server_nothing_is_queued(tmp_path: Path, servers: str | None, code: int) -> None:
    home = make_instance(tmp_path)
    if servers is not None:
        (home / "control" / "qmqpservers").write_text(servers.replace("NOBODY", NOBODY))
    assert qmqpc(home) == code


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (b"", 91),
        (b"Fs@x\0", 91),
        (b"Fs@x\0Ta@b\0", 91),
        (b"Xs\0\0", 91),
        (b"Fs\0Xa\0\0", 91),
        (b"Fs" * 600 + b"\0\0", 11),
    ],
)
def test_a_bad_envelope_is_sent_nowhere(tmp_path: Path, envelope: bytes, code: int) -> None:
    home = make_instance(tmp_path, qmqpservers=f"{NOBODY}\n")
    assert qmqpc(home, envelope=envelope) == code


def test_what_cannot_be_read_is_not_sent(tmp_path: Path) -> None:
    home = make_instance(tmp_path, qmqpservers=f"{NOBODY}\n")
    (home / "control" / "qmqpservers").unlink()
    (home / "control" / "qmqpservers").mkdir()
    assert qmqpc(home) == 55
    assert qmqpc(tmp_path / "absent") == 61
    (home / "control" / "qmqpservers").rmdir()
    (home / "control" / "qmqpservers").write_text(f"{NOBODY}\n")
    unreadable = os.open(os.devnull, os.O_WRONLY)
    environment = {"PATH": "/bin:/usr/bin", "QMAILHOME": str(home)}
    assert subprocess.run([launchers.ours("qmail-qmqpc")], stdin=unreadable, env=environment).returncode == 54
    os.close(unreadable)


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (b"192.0.2.1", b"192.0.2.1"),
        (b"192.0.2.383:628", b"192.0.2.127"),
        (b"192.0.2.1 rest", b"192.0.2.1"),
        (b"[2001:DB8::1] rest", b"2001:db8::1"),
        (b"192.0.2", None),
        (b"host.example", None),
        (b"1.2.x.4", None),
        (b"a:b", None),
    ],
)
def test_a_line_must_start_with_an_address(line: bytes, address: bytes | None) -> None:
    assert address_of(line) == address
