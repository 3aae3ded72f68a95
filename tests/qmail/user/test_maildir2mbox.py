"""maildir2mbox: from new and cur to the end of an mbox."""

from __future__ import annotations

import os

import pytest

from qmail.user.maildir2mbox import from_line, main
from ucspi.core import chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

BIRTH = 1_000_000_000  # Sun Sep 09 01:46:40 2001


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for part in ("tmp", "new", "cur"):
        (tmp_path / "M" / part).mkdir(parents=True)
    return tmp_path / "M"


def put(maildir: Path, name: str, message: bytes, when: int = BIRTH) -> None:
    (maildir / name).write_bytes(message)
    os.utime(maildir / name, (when, when))


def run(maildir: Path, *, umask: int = 0o022, **env: str) -> int:
    variables = {"MAILDIR": str(maildir), "MAIL": "../mbox", "MAILTMP": "../mboxtmp", **env}
    before = os.umask(umask)
    try:
        return main([b"maildir2mbox"], {k.encode(): v.encode() for k, v in variables.items() if v}, chain.Process())
    finally:
        os.umask(before)


@pytest.mark.parametrize("umask", [0, 0o777])
def test_the_mbox_is_its_owners_alone(maildir: Path, umask: int) -> None:
    put(maildir, "new/1", b"one\n")
    assert run(maildir, umask=umask) == 0
    assert (maildir.parent / "mbox").stat().st_mode & 0o777 == 0o600


def test_messages_follow_what_was_there_in_order_of_delivery(maildir: Path) -> None:
    mbox = maildir.parent / "mbox"
    mbox.write_bytes(b"From a\n\nold\n\n")
    put(maildir, "new/2", b"Return-Path: <a b@x>\n\nFrom me\n>From you\nlast", BIRTH + 1)
    put(maildir, "cur/1:2,S", b"Return-Path: <>\n\nx\n")
    put(maildir, "new/3", b"Subject: x\n\n", BIRTH + 2)
    assert run(maildir) == 0
    assert mbox.read_bytes() == (
        b"From a\n\nold\n\n"
        b"From MAILER-DAEMON Sun Sep 09 01:46:40 2001\nReturn-Path: <>\n\nx\n\n"
        b"From a-b@x Sun Sep 09 01:46:41 2001\nReturn-Path: <a b@x>\n\n>From me\n>>From you\nlast\n\n"
        b"From XXX Sun Sep 09 01:46:42 2001\nSubject: x\n\n\n"
    )
    assert mbox.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(maildir / "new") + os.listdir(maildir / "cur")) == []
    assert sorted(os.listdir(maildir.parent)) == ["M", "mbox"]


@pytest.mark.parametrize(
    ("start", "sender"),
    [
        (b"Return-Path: <a@b>\nx", b"a@b"),
        (b"Return-Path: <\ta@b>\n", b"-a@b"),
        (b"Return-Path: <>\n", b"MAILER-DAEMON"),
        (b"Return-Path: <a@b>", b"XXX"),
        (b"X: y\nReturn-Path: <a@b>\n", b"XXX"),
        (b"", b"XXX"),
    ],
)
def test_the_sender_comes_from_a_return_path_in_the_first_line(start: bytes, sender: bytes) -> None:
    assert from_line(start, b"DATE") == b"From " + sender + b" DATE\n"


def test_nothing_to_move_touches_nothing(maildir: Path) -> None:
    put(maildir, "new/.dot", b"no message")
    (maildir / "new" / "fresh").write_bytes(b"of this very second, or later")
    os.utime(maildir / "new" / "fresh", (2**31, 2**31))
    put(maildir, "tmp/dead", b"x")
    assert run(maildir) == 0
    assert sorted(os.listdir(maildir.parent)) == ["M"]
    assert os.listdir(maildir / "tmp") == []


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({"MAIL": ""}, "MAIL not set"),
        ({"MAILTMP": ""}, "MAILTMP not set"),
        ({"MAILDIR": ""}, "MAILDIR not set"),
        ({"MAILDIR": "/nowhere"}, "unable to chdir to /nowhere: file does not exist"),
        ({"MAIL": "/no/mbox"}, "unable to lock /no/mbox: file does not exist"),
        ({"MAILTMP": "/no/tmp"}, "unable to create /no/tmp: file does not exist"),
        ({"MAIL": "tmp"}, "unable to lock tmp: is a directory"),
    ],
)
def test_what_fails_leaves_the_messages(
    maildir: Path, env: dict[str, str], text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    put(maildir, "new/1", b"x")
    assert run(maildir, **env) == 111
    assert capfd.readouterr().err == f"maildir2mbox: fatal: {text}\n"
    assert os.listdir(maildir / "new") == ["1"]
