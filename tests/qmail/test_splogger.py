"""splogger, the program: what it says to the C library.  What a real syslogd makes of it is a system test."""

from __future__ import annotations

import os
import syslog

import pytest

from qmail import splogger
from tests.support import launchers
from ucspi.core.chain import Process
from ucspi.core.command import Call


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """The calls of syslog(3) in this process, instead of messages in the machine's log."""
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *args: calls.append(("open", *args)))
    monkeypatch.setattr(syslog, "syslog", lambda *args: calls.append(args))
    monkeypatch.setattr(syslog, "closelog", lambda: None)
    monkeypatch.setattr(splogger.time, "time_ns", lambda: 1795421085471185000)
    return calls


def log(words: list[bytes], data: bytes) -> int:
    """Run splogger in this process with `data` on descriptor 0."""
    reader, writer = os.pipe()
    saved = os.dup(0)
    try:
        os.write(writer, data)
        os.close(writer)
        os.dup2(reader, 0)
        return splogger.splogger(Call(splogger.PROGRAM, [b"splogger", *words], {}, Process()))
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(reader)


WORDS = [
    ([], ("open", "splogger", 0, 16)),
    ([b"qmail"], ("open", "qmail", 0, 16)),
    ([b"smtpd", b"3"], ("open", "smtpd", 0, 24)),
    ([b"smtpd", b"mail"], ("open", "smtpd", 0, 0)),
    ([b"-t", b"18446744073709551615"], ("open", "-t", 0, 0xFFFFFFF8)),
    ([b"caf\xe9"], ("open", "caf\ufffd", 0, 16)),
]


@pytest.mark.parametrize(("words", "opened"), WORDS)
def test_tag_and_facility(said: list[tuple[object, ...]], words: list[bytes], opened: tuple[object, ...]) -> None:
    assert log(words, b"warning: x\nlost") == 0
    assert said == [opened, (4, "1795421085.471185 warning: x")]


def test_the_program_ends_with_its_input_and_says_nothing() -> None:
    assert launchers.run(launchers.ours("splogger"), "splogger-test") == launchers.Result(0, b"", b"")
