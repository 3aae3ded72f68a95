"""qmail-smtpd as a process: descriptors, control files, exit codes, strangers' bytes (spec 2, 12.1)."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import launchers
from tests.support.smtpdhost import BYE, GO, GREETING, NO_CONTROLS, NO_GATEWAY, OK, START, Host, receive


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


# --- start and end


def test_end_of_input_at_once_gives_the_greeting_and_exit_1(host: Host) -> None:  # probe 1
    assert host.talk(b"") == launchers.Result(1, GREETING, b"")


def test_quit_is_the_only_way_to_exit_0(host: Host) -> None:  # 3
    assert host.talk(b"helo foo\nnoop\nQuIt\nNOOP\n") == launchers.Result(
        0, GREETING + b"250 mail.example.org\r\n" + OK + BYE, b""
    )
    assert host.talk(b"NOOP\r\n").code == 1


def test_smtpgreeting_goes_before_me(host: Host) -> None:
    host.set("smtpgreeting", "mx.example hello there \nsecond\n")
    assert host.talk(b"QUIT\r\n").out == b"220 mx.example hello there ESMTP\r\n221 mx.example hello there\r\n"


def no_me(host: Host) -> None:
    (host.control / "me").unlink()


def no_home(host: Host) -> None:
    host.env["QMAILHOME"] = str(host.home / "none")


def directory(name: str) -> Callable[[Host], None]:
    def make(host: Host) -> None:
        (host.control / name).unlink(missing_ok=True)
        (host.control / name).mkdir()

    return make


def loop(name: str) -> Callable[[Host], None]:
    def make(host: Host) -> None:
        (host.control / name).unlink(missing_ok=True)
        os.symlink(name, host.control / name)

    return make


CONTROLS = ["me", "smtpgreeting", "localiphost", "timeoutsmtpd", "rcpthosts", "badmailfrom", "databytes"]


@pytest.mark.parametrize("spoil", [no_me, no_home, directory("badmailfrom"), loop("morercpthosts.cdb")])
def test_controls_that_cannot_be_read_are_told_in_place_of_the_greeting(  # 32
    host: Host, spoil: Callable[[Host], None]
) -> None:
    spoil(host)
    assert host.talk(b"QUIT\r\n") == launchers.Result(1, NO_CONTROLS, b"")


def test_each_control_file_counts(host: Host) -> None:
    for name in CONTROLS:
        (host.home / name).mkdir()
        other = Host(host.home / name)
        directory(name)(other)
        assert other.talk(b"QUIT\r\n") == launchers.Result(1, NO_CONTROLS, b""), name


def test_a_client_that_is_silent_is_told_and_left(host: Host) -> None:  # 31
    host.set("timeoutsmtpd", "0")
    pairs = [socket.socketpair() for _ in range(2)]
    began = time.monotonic()
    running = [host.start(theirs.fileno(), theirs.fileno()) for _, theirs in pairs]
    pairs[1][0].sendall(START + b"half a mail\r\n")
    for (ours, theirs), process, before in zip(pairs, running, (b"", OK * 2 + GO), strict=True):
        theirs.close()
        assert receive(ours, lambda data: False) == GREETING + before + b"451 timeout (#4.4.2)\r\n"
        assert process.wait() == 1
        ours.close()
    assert 1 <= time.monotonic() - began < 10


def test_a_client_that_takes_nothing_is_left_in_silence(host: Host) -> None:
    host.set("timeoutsmtpd", "1")
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    process = host.start(theirs.fileno(), theirs.fileno())
    theirs.close()
    ours.settimeout(10)
    with pytest.raises(OSError):  # it closes with our commands unread
        while True:
            ours.sendall(b"HELP\r\n" * 10000)
    assert process.wait() == 1
    ours.close()


def test_a_client_that_is_gone_is_no_error_to_report(host: Host) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = host.start(subprocess.DEVNULL, writer)
    os.close(writer)
    assert process.wait() == 1


def test_regular_files_do_for_a_client(host: Host) -> None:
    (host.home / "in").write_bytes(START + b"x\r\n.\r\nQUIT\r\n")
    with open(host.home / "in", "rb") as stdin, open(host.home / "out", "wb") as stdout:
        assert host.start(stdin.fileno(), stdout.fileno()).wait() == 0
    assert (host.home / "out").read_bytes().startswith(GREETING + OK * 2 + GO + b"250 ok ")
    assert (host.home / "message").read_bytes().endswith(b"\nx\n")


def test_replies_to_commands_that_came_together_leave_together(host: Host) -> None:  # 35
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # keeps writes apart
    process = host.start(theirs.fileno(), theirs.fileno())
    theirs.close()
    assert ours.recv(65536) == GREETING
    ours.send(b"MAIL FROM:<>\r\nRCPT TO:<x@mail.example.org>\r\nRSET\r\nNOOP\r\n")
    assert ours.recv(65536) == OK * 2 + b"250 flushed\r\n" + OK
    ours.close()
    assert process.wait() == 1


# --- bad input


def test_a_line_of_megabytes_ends_the_session(host: Host) -> None:
    done = host.talk(b"x" * 3_000_000 + b"\r\nNOOP\r\n")
    assert done == launchers.Result(1, GREETING + b"421 out of memory (#4.3.0)\r\n", b"")


def test_nuls_cut_commands_and_stay_in_mails(host: Host) -> None:
    message, envelope = host.taken(b"NOOP\0x\r\nMAIL FROM:<a\0b>\r\nRCPT TO:<c>\r\nDATA\0\r\nx\0y\r\n.\r\n")
    assert message.endswith(b"\nx\0y\n")
    assert envelope == b"Fa\0Tc\0\0"


def test_a_hundred_thousand_recipients_are_taken(host: Host) -> None:
    _, envelope = host.taken(b"MAIL <>\r\n" + b"RCPT <x@mail.example.org>\r\n" * 100_000 + b"DATA\r\n.\r\n")
    assert envelope.count(b"\0") == 100_002


@pytest.fixture(params=["ours", "ours by exec", "the original"])
def port(host: Host, request: pytest.FixtureRequest) -> Iterator[int]:
    """A tcpserver that runs qmail-smtpd: as a pool, by exec, and C tcpserver."""
    find = launchers.original if request.param == "the original" else launchers.ours
    env = {"PATH": os.environ["PATH"], **host.env}
    if request.param == "ours by exec":
        env["UCSPI_EXEC"] = "1"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
    words = [find("tcpserver"), "-RHl0", "127.0.0.1", str(free), launchers.ours("qmail-smtpd")]
    server = subprocess.Popen(words, env=env)
    yield free
    server.terminate()
    server.wait()


def connect(port: int) -> socket.socket:
    for _ in range(500):
        try:
            return socket.create_connection(("127.0.0.1", port), 10)
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise AssertionError("no server")


def test_connections_served_one_after_the_other_share_nothing(host: Host, port: int) -> None:
    talks = [
        (b"HELO one\r\n" + START + b"half", b"250 mail.example.org\r\n" + OK * 2 + GO),  # and then it is gone
        (b"DATA\r\nQUIT\r\n", b"503 MAIL first (#5.5.1)\r\n" + BYE),
        (START + b"x\n.\r\n", OK * 2 + GO + b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"),
        (b"MAIL <>\r\nRCPT <x@no.example>\r\nQUIT\r\n", OK + NO_GATEWAY + BYE),
    ]
    for said, heard in talks * 2:
        with connect(port) as client:
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            assert receive(client, lambda data: False) == GREETING + heard
    with connect(port) as client:
        client.sendall(START + b"y\r\n.\r\nQUIT\r\n")
        assert receive(client, lambda data: False).startswith(GREETING + OK * 2 + GO + b"250 ok ")
    message = (host.home / "message").read_bytes()
    assert message.startswith(b"Received: from unknown (127.0.0.1)\n  by 0 with SMTP; ")  # no HELO, no name
    assert message.endswith(b" -0000\ny\n")
