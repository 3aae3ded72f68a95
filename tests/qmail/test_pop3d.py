"""qmail-pop3d, on real descriptors."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support import launchers


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory in a single-user instance, with the maildir of the specification's probe 61."""
    (tmp_path / "queue").mkdir()
    for part in ("new", "cur", "tmp"):
        (tmp_path / "Maildir" / part).mkdir(parents=True)
    put(tmp_path, "new/1000.1.host", b"Subject: one\n\nline1\n.dot\n..two\nlast\n", 1000)
    put(tmp_path, "new/1100.3.host,S=5", b"A: b\n\nno newline", 1100)
    put(tmp_path, "cur/0900.2.host:2,S", b"Subject: two\n\n" + b"x" * 22, 1200)
    return tmp_path


def put(home: Path, name: str, content: bytes, when: float) -> None:
    (home / "Maildir" / name).write_bytes(content)
    os.utime(home / "Maildir" / name, (when, when))


def talk(home: Path, data: bytes, *words: str) -> bytes:
    """All that the client hears; the program exits 0 and says nothing else."""
    done = launchers.run(
        launchers.ours("qmail-pop3d"), *words, stdin=data, cwd=home, env={"QMAILHOME": str(home)}, timeout=60
    )
    assert (done.code, done.err) == (0, b"")
    return done.out


def files(home: Path) -> set[str]:
    return {str(path.relative_to(home / "Maildir")) for path in home.rglob("Maildir/*/*")}


OK = b"+OK \r\n"


def test_probe_61(home: Path) -> None:
    put(home, "new/9.future", b"", 4e9)
    listing = b"1 1000.1.host\r\n2 1100.3.host,S=5\r\n3 0900.2.host\r\n.\r\n"
    assert talk(home, b"STAT\r\nUIDL\r\nQUIT\r\n", "Maildir") == OK + b"+OK 3 88\r\n" + OK + listing + OK
    assert files(home) == {"cur/1000.1.host:2,", "cur/1100.3.host,S=5:2,", "cur/0900.2.host:2,S", "new/9.future"}


def test_probes_63_and_64(home: Path) -> None:
    assert talk(home, b"TOP 1 0\nTOP 1 2\nRETR 2\n", "Maildir") == (
        (OK + OK + b"Subject: one\r\n\r\n\r\n.\r\n")
        + (OK + b"Subject: one\r\n\r\nline1\r\n..dot\r\n\r\n.\r\n")
        + (OK + b"A: b\r\n\r\nno newline\r\n\r\n.\r\n")
    )


def test_a_client_that_leaves_without_quit_changes_nothing(home: Path) -> None:
    before = files(home)
    assert talk(home, b"DELE 1\nDELE 2\nQUIT", "Maildir") == OK * 3
    assert talk(home, b"DELE 1\n" + b"x" * 1000000 + b"\nQUIT\n", "Maildir") == OK * 2
    assert files(home) == before


def test_deleted_messages_go_at_quit_and_each_that_cannot_is_told(home: Path) -> None:
    with subprocess.Popen(
        [launchers.ours("qmail-pop3d"), "Maildir"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=home,
        env={"QMAILHOME": str(home)},
    ) as program:
        assert program.stdin and program.stdout
        assert program.stdout.readline() == OK
        (home / "Maildir/new/1000.1.host").unlink()
        assert program.communicate(b"RETR 1\nDELE 1\nDELE 2\nQUIT\n", 30)[0] == (
            b"-ERR unable to open that message\r\n" + (OK + OK) + b"-ERR unable to unlink all deleted messages\r\n" + OK
        )
    assert files(home) == {"cur/0900.2.host:2,S"}


def test_a_message_that_cannot_be_read_ends_the_session(home: Path) -> None:
    (home / "Maildir/cur/directory").mkdir()
    os.utime(home / "Maildir/cur/directory", (1, 1))
    assert talk(home, b"STAT\nRETR 1\nSTAT\n", "Maildir").count(b"\r\n") == 3


@pytest.mark.parametrize("words", [[], ["Mailbox"], [""]])
def test_no_maildir(home: Path, words: list[str]) -> None:
    assert talk(home, b"STAT\n", *words) == b"-ERR this user has no $HOME/Maildir\r\n"


def test_a_maildir_that_cannot_be_scanned(home: Path) -> None:
    (home / "Maildir/cur/0900.2.host:2,S").unlink()
    (home / "Maildir/cur").rmdir()
    assert talk(home, b"STAT\n", "Maildir") == b"-ERR unable to scan $HOME/Maildir\r\n"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root: it is root that is refused")
def test_root_is_refused_unless_the_instance_is_roots(home: Path) -> None:
    for environment in ({}, {"QMAILHOME": str(home / "nowhere")}):
        done = launchers.run(launchers.ours("qmail-pop3d"), "Maildir", cwd=home, env=environment)
        assert done == launchers.Result(1, b"", b"qmail-pop3d invoked as uid 0, terminating\n")
    os.chown(home / "queue", 65533, -1)
    done = launchers.run(launchers.ours("qmail-pop3d"), "Maildir", cwd=home, env={"QMAILHOME": str(home)})
    assert done.code == 1


def test_a_big_message_streams_in_little_memory(home: Path) -> None:
    line = b".2345678" * 9 + b"\n"
    put(home, "cur/big", line * 1400000, 1)  # 102 MB
    limit = 80_000_000

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    client, server = socket.socketpair()
    with client:
        client.sendall(b"RETR 1\nQUIT\n")
        with server:
            program = subprocess.Popen(
                [launchers.ours("qmail-pop3d"), "Maildir"],
                stdin=server,
                stdout=server,
                cwd=home,
                env={"QMAILHOME": str(home)},
                preexec_fn=limited,
            )
        heard = 0
        end = b""
        while block := client.recv(1 << 20):
            heard += len(block)
            end = (end + block)[-200:]
    assert program.wait(30) == 0
    assert heard == len(OK) * 3 + (len(line) + 2) * 1400000 + 5
    assert end.endswith(b".2345678\r\n\r\n.\r\n" + OK)
