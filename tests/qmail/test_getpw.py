"""qmail-getpw: six strings on descriptor 1, or an exit code."""

from __future__ import annotations

import pwd

from qmail.getpw import main
from ucspi.core import chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pytest


def run(*words: bytes) -> int:
    return main([b"qmail-getpw", *words], {}, chain.Process())


def password_file(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def getpwnam(name: str) -> pwd.struct_passwd:
        if name not in names:
            raise KeyError(name)
        return pwd.struct_passwd((name, "x", 7790, 2108, "", "/var/qmail/alias", "/bin/sh"))

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)


def test_who_has_no_account_belongs_to_alias(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    password_file(monkeypatch, "alias")
    assert run(b"nosuch-x") == 0
    assert run(b"-x") == 0
    assert capfdbinary.readouterr().out == (
        b"alias\0007790\0002108\0/var/qmail/alias\0-\0nosuch-x\0alias\0007790\0002108\0/var/qmail/alias\0-\0-x\0"
    )


def test_the_exit_code_tells_why_there_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    password_file(monkeypatch)
    assert run(b"nosuch-x") == 116
    assert run() == 100
    assert capfdbinary.readouterr() == (b"", b"")
