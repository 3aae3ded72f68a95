"""qmail-popup, on real descriptors, alone and at the head of the chain to qmail-pop3d."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from qmail import popup
from qmail.core.passwords import crypt, pack
from tests.support import launchers

SUBPROGRAM = """cat <&3 >"$OUT"; eval "$THEN" """


def talk(data: bytes, *command: str, kind: str = "socket", env: dict[str, str] | None = None) -> tuple[int, bytes]:
    """qmail-popup's exit code, and all that the client hears after saying everything at once."""
    environment = {"PATH": f"{launchers.directory()}:/bin:/usr/bin", **(env or {})}
    words = [launchers.ours("qmail-popup"), *command]
    if kind == "pipe":
        done = subprocess.run(words, input=data, capture_output=True, env=environment, timeout=30)
        return done.returncode, done.stdout
    client, server = socket.socketpair()
    with client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        with server:
            child = subprocess.Popen(words, stdin=server, stdout=server, env=environment)
        heard = b"".join(iter(lambda: client.recv(65536), b""))
    return child.wait(30), heard


GREETING = re.compile(rb"\+OK (<[0-9]+\.[0-9]+@pop\.example\.org>)\r\n")


def attempt(tmp_path: Path, data: bytes, then: str = "exit 1", kind: str = "socket") -> tuple[bytes, bytes]:
    """What the client hears behind the greeting, and what descriptor 3 said, with STAMP for the stamp."""
    out = tmp_path / "fd3"
    env = {"OUT": str(out), "THEN": then}
    code, heard = talk(data, "pop.example.org", "sh", "-c", SUBPROGRAM, kind=kind, env=env)
    assert code == 1
    greeting = GREETING.match(heard)
    assert greeting
    told = out.read_bytes() if out.exists() else b""
    return heard[greeting.end() :], told.replace(greeting[1], b"STAMP")


OK = b"+OK \r\n"
ATTEMPTS = [
    (b"USER joe bloggs\r\nPASS  two words \r\n", "exit 1", OK + b"-ERR authorization failed\r\n"),
    (b"USER joe bloggs\r\nPASS  two words \r\n", "exit 111", OK + b"-ERR authorization failed\r\n"),
    (b"USER joe bloggs\r\nPASS  two words \r\n", "exit 0", OK),
    (b"USER joe bloggs\r\nPASS  two words \r\n", "kill -9 $$", OK + b"-ERR aack, child crashed\r\n"),
]


@pytest.mark.parametrize("kind", ["socket", "pipe"])
@pytest.mark.parametrize(("data", "then", "replies"), ATTEMPTS)
def test_the_subprogram_is_told_on_descriptor_3_and_its_end_is_told_to_the_client(
    tmp_path: Path, data: bytes, then: str, replies: bytes, kind: str
) -> None:
    assert attempt(tmp_path, data, then, kind) == (replies, b"joe bloggs\0two words \0STAMP\0")


def test_apop_has_the_digest_for_a_password(tmp_path: Path) -> None:
    assert attempt(tmp_path, b"APOP joe  d41d8\r\n", "exit 0") == (b"", b"joe\0 d41d8\0STAMP\0")


@pytest.mark.parametrize("kind", ["socket", "pipe"])
def test_what_a_client_says_behind_pass_is_left_for_the_subprogram(tmp_path: Path, kind: str) -> None:
    then = "read line; echo heard $line"
    assert attempt(tmp_path, b"user a\r\npass b\r\nSTAT\n", then, kind)[0] == OK + b"heard STAT\n"


def test_a_subprogram_that_does_not_read_is_judged_by_its_status() -> None:
    data = b"USER a\r\nPASS " + b"x" * 16000 + b"\r\n"
    for command, reply in (("true", b""), ("false", b"-ERR authorization failed\r\n")):
        code, heard = talk(data, "h", command)
        assert (code, heard.partition(b"\r\n")[2]) == (1, OK + reply)


def test_a_missing_subprogram_is_a_failed_login() -> None:
    for command in ("no-such-program", "/no/such/program", ""):
        code, heard = talk(b"USER a\r\nPASS b\r\n", "h", command)
        assert (code, heard.partition(b"\r\n")[2]) == (1, OK + b"-ERR authorization failed\r\n")


def test_a_client_that_leaves_or_quits_starts_nothing(tmp_path: Path) -> None:
    assert attempt(tmp_path, b"") == (b"", b"")
    assert attempt(tmp_path, b"USER joe\r\nPASS x") == (OK, b"")
    assert attempt(tmp_path, b"USER joe\r\nQUIT\r\nUSER joe\r\nPASS x\r\n") == (OK + OK, b"")
    assert attempt(tmp_path, b"x" * 1000000, kind="pipe") == (b"", b"")


@pytest.mark.parametrize("words", [[], ["host"]])
def test_missing_words_are_told_to_the_client(words: list[str]) -> None:
    assert talk(b"", *words) == (1, b"-ERR usage: popup hostname subprogram\r\n")


def test_a_worker_never_gives_the_same_stamp_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(popup, "_last_stamp", [0])
    assert [popup.stamp_time(now) for now in (1000, 1000, 1000, 1001, 1010)] == [1000, 1001, 1002, 1003, 1010]


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """A single-user instance with the mailbox of demo, password secret, and one message in it."""
    for directory in ("queue", "users", "demo/Maildir/new", "demo/Maildir/cur", "demo/Maildir/tmp"):
        (tmp_path / directory).mkdir(parents=True)
    passwd = tmp_path / "users/passwd"
    passwd.write_bytes(pack(b"demo", crypt(b"secret", b"$6$rounds=1000$salt") or b"", b"demo"))
    passwd.chmod(0o600)
    message = tmp_path / "demo/Maildir/new/1.2.host"
    message.write_bytes(b"Subject: one\n\nhello\n")
    os.utime(message, (1, 1))
    return tmp_path


SESSION = b"USER demo\r\nPASS secret\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n"
SERVED = OK + OK + b"+OK 1 20\r\n" + OK + b"Subject: one\r\n\r\nhello\r\n\r\n.\r\n" + OK + OK


@pytest.mark.parametrize("exec_", ["", "1"])
@pytest.mark.parametrize("kind", ["socket", "pipe"])
def test_the_whole_chain_serves_a_pipelined_session(instance: Path, kind: str, exec_: str) -> None:
    env = {"QMAILHOME": str(instance), "UCSPI_EXEC": exec_}
    code, heard = talk(SESSION, "h", "checkpassword", "qmail-pop3d", "Maildir", kind=kind, env=env)
    assert (code, heard.partition(b"\r\n")[2]) == (1, SERVED)
    assert not list((instance / "demo/Maildir/new").iterdir())


@pytest.mark.parametrize("exec_", ["", "1"])
@pytest.mark.parametrize("login", [b"USER demo\r\nPASS Secret\r\n", b"USER nobody-at-all\r\nPASS secret\r\n"])
def test_the_whole_chain_refuses_a_wrong_login(instance: Path, login: bytes, exec_: str) -> None:
    env = {"QMAILHOME": str(instance), "UCSPI_EXEC": exec_}
    code, heard = talk(login + b"STAT\r\n", "h", "checkpassword", "qmail-pop3d", "Maildir", env=env)
    assert (code, heard.partition(b"\r\n")[2]) == (1, OK + b"-ERR authorization failed\r\n")
