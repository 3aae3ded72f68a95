"""maildirwatch: what is new."""

from __future__ import annotations

import os

import pytest

from qmail.user.maildirwatch import CLEAR, main, screen, show
from ucspi.core import chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def watch(message: bytes) -> bytes:
    whole = show([message])
    assert show(message[i : i + 1] for i in range(len(message))) == whole
    return whole


def test_envelope_author_and_the_beginning_are_shown() -> None:
    message = b'Return-Path: <j\xe9@k>\nDelivered-To: joe@h\nFrom: "J\x01" <j@k>\nSubject: hi\n\nbody\n' + b"x" * 300
    expected = b'FROM <j?@k> TO <joe@h>\n\033[1mFrom: "J/" <j@k>\033[0m\n'
    text = b"hi//body/"
    assert watch(message) == expected + text + b"x" * (158 - len(text)) + b"\n\n"


def test_what_is_missing_is_a_question_mark() -> None:
    assert watch(b"X: y\n\n") == b"FROM ? TO <?>\n/\n\n"
    assert watch(b"Return-Path:\n\n") == b"FROM ? TO <?>\n/\n\n"
    assert watch(b"") == b"FROM ? TO <?>\n\n\n"


def test_only_new_is_shown(tmp_path: Path) -> None:
    for part in ("new", "cur", "tmp"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "1").write_bytes(b"Subject: %b\n\n" % part.encode())
        os.utime(tmp_path / part / "1", (1, 1))
    assert screen(os.fsencode(tmp_path), 1000) == CLEAR + b"FROM ? TO <?>\nnew//\n\n"


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({}, "MAILDIR not set"),
        ({b"MAILDIR": b"/nowhere"}, "unable to chdir to /nowhere: file does not exist"),
        ({b"MAILDIR": b"/proc"}, "unable to scan $MAILDIR/new: file does not exist"),
    ],
)
def test_a_maildir_that_cannot_be_read_ends_it(
    env: dict[bytes, bytes], text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([b"maildirwatch"], env, chain.Process()) == 111
    assert capfd.readouterr().err == f"maildirwatch: fatal: {text}\n"
