"""qmail-newu: users/assign to users/cdb."""

from __future__ import annotations

import errno
import os

import pytest

from qmail.core import users
from qmail.newu import main
from ucspi.core import chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "users").mkdir()
    return tmp_path


def run(home: Path) -> int:
    return main([b"qmail-newu"], {b"QMAILHOME": os.fsencode(home)}, chain.Process())


def test_the_database_answers_for_the_text(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (home / "users" / "assign").write_bytes(b"=joe:joe:503:78:/home/joe:::\n+joe-:joe:503:78:/home/joe:-::\n.\n")
    assert run(home) == 0
    assert capfd.readouterr() == ("", "")
    assert sorted(os.listdir(home / "users")) == ["assign", "cdb"]
    assert (home / "users" / "cdb").stat().st_mode & 0o7777 == 0o644
    user = users.assigned(os.fsencode(home / "users" / "cdb"), b"joe-Foo")
    assert user is not None
    assert user.pack() == b"joe\x00503\x0078\0/home/joe\0-\0Foo\0"


BAD = [b"=joe:joe:503:78:/home/joe:::\n", b"=joe:joe:503:78:/home/joe::\n.\n", b":joe:503:78:/home/joe::::\n.\n"]


@pytest.mark.parametrize("text", BAD)
def test_a_bad_text_leaves_the_old_database(home: Path, text: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    (home / "users" / "cdb").write_bytes(b"old")
    (home / "users" / "assign").write_bytes(text)
    assert run(home) == 111
    assert capfd.readouterr().err == "qmail-newu: fatal: bad format in users/assign\n"
    assert (home / "users" / "cdb").read_bytes() == b"old"


def test_what_cannot_be_opened_or_written_is_named(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(home / "nowhere") == 111
    assert run(home) == 111
    (home / "users" / "assign").mkdir()
    assert run(home) == 111
    (home / "users" / "assign").rmdir()
    (home / "users" / "assign").write_bytes(b".\n")
    (home / "users" / "cdb.tmp").mkdir()
    assert run(home) == 111
    (home / "users" / "cdb.tmp").rmdir()
    (home / "users" / "cdb").mkdir()
    assert run(home) == 111
    assert capfd.readouterr().err.splitlines() == [
        "qmail-newu: fatal: unable to chdir",
        "qmail-newu: fatal: unable to open users/assign",
        "qmail-newu: fatal: unable to read users/assign",
        "qmail-newu: fatal: unable to open users/cdb.tmp",
        "qmail-newu: fatal: unable to move users/cdb.tmp to users/cdb",
    ]


def test_a_database_that_does_not_reach_the_disk_replaces_nothing(
    home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "users" / "cdb").write_bytes(b"old")
    (home / "users" / "assign").write_bytes(b".\n")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    assert run(home) == 111
    assert capfd.readouterr().err == "qmail-newu: fatal: unable to write users/cdb.tmp\n"
    assert (home / "users" / "cdb").read_bytes() == b"old"
