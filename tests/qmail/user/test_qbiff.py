"""qbiff: you have mail."""

from __future__ import annotations

import os

import pytest

from qmail.core import utmp
from qmail.user import qbiff
from tests.support.queues import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

HEADER = b"\r\n\a*** TO <joe-x> FROM <s@s.example>\r\n"
ENV = {b"USER": b"joe", b"LOCAL": b"joe-x", b"SENDER": b"s@s.example"}


def login(line: bytes, user: bytes, kind: int = 7) -> bytes:
    return utmp.RECORD.pack(kind, 1, line, b"id", user, b"host")


@pytest.fixture
def terminals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /dev with a terminal that listens, and a utmp in which joe is logged in there."""
    monkeypatch.setattr(qbiff, "DEV", os.fsencode(tmp_path))
    monkeypatch.setattr(utmp, "PATH", str(tmp_path / "utmp"))
    terminal(tmp_path, "tty1")
    (tmp_path / "utmp").write_bytes(login(b"tty1", b"joe"))
    return tmp_path


def terminal(path: Path, name: str, mode: int = 0o700) -> None:
    (path / name).touch()
    (path / name).chmod(mode)


def test_subject_and_body_are_shown_where_the_user_listens(terminals: Path) -> None:
    message = b"From: x\nSUBJECT : Hi\n there\n\nbody\x1b\n" + b"x" * 100
    assert run(qbiff.main, [b"qbiff"], ENV, message=message) == 0
    text = b"    Hi/ there//body//"
    assert (terminals / "tty1").read_bytes() == HEADER + text + b"x" * (78 - len(text)) + b"\r\n"


def test_nothing_a_stranger_wrote_steers_the_terminal(terminals: Path) -> None:
    run(qbiff.main, [b"qbiff"], {**ENV, b"SENDER": b"\x1b[J\xe9"}, message=b"\n")
    assert (terminals / "tty1").read_bytes() == b"\r\n\a*** TO <joe-x> FROM <_[J_>\r\n    /\r\n"


def test_only_ones_own_terminals_that_want_it_are_written_to(terminals: Path) -> None:
    terminal(terminals, "tty2", 0o600)
    for name in ("tty3", "tty4", "tty.5"):
        terminal(terminals, name)
    logins = (login(b"tty2", b"joe"), login(b"tty3", b"jim"), login(b"tty4", b"joe", 8), login(b"tty.5", b"joe"))
    absolute = login(os.fsencode(terminals / "tty3")[:32], b"joe")
    (terminals / "utmp").write_bytes(b"".join(logins) + login(b"", b"joe") + absolute + login(b"gone", b"joe") + b"x")
    assert run(qbiff.main, [b"qbiff"], ENV, message=b"Subject: x\n\n") == 0
    assert [name for name in os.listdir(terminals) if name != "utmp" and (terminals / name).stat().st_size] == []


@pytest.mark.parametrize("missing", [b"USER", b"LOCAL", b"SENDER"])
def test_mail_never_waits_for_it(terminals: Path, missing: bytes) -> None:
    env = {name: value for name, value in ENV.items() if name != missing}
    assert run(qbiff.main, [b"qbiff"], env) == 0
    (terminals / "utmp").unlink()
    assert run(qbiff.main, [b"qbiff"], ENV) == 0
    assert (terminals / "tty1").read_bytes() == b""
