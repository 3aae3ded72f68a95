"""Asking qmail-clean.  The test answers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from qmail.core.cleaner import AHEAD, Cleaner
from qmail.core.logline import Log

NOW = 1795421752
LOST = b"alert: oh no! lost qmail-clean connection! dying...\n"


class Ends:
    """The cleaner, qmail-clean's ends of its pipes, what was logged, and what was called."""

    def __init__(self) -> None:
        self.commands, write = os.pipe()
        read, self.answers = os.pipe()
        self.lines: list[bytes] = []
        self.done: list[tuple[int, bool, int]] = []
        log: Log = self.lines.append  # type: ignore[assignment]
        self.cleaner = Cleaner(write, read, log)
        self.fds = [self.commands, write, read, self.answers]

    def ask(self, n: int) -> None:
        self.cleaner.ask(b"foop/%d" % n, lambda done, now: self.done.append((n, done, now)))

    def close(self, *fds: int) -> None:
        for fd in fds or tuple(self.fds):
            os.close(fd)
            self.fds.remove(fd)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


def test_answers_belong_to_the_commands_in_their_order(ends: Ends) -> None:
    for n in range(4):
        ends.ask(n)
    ends.cleaner.flush(NOW)
    assert os.read(ends.commands, 4096) == b"foop/0\0foop/1\0foop/2\0foop/3\0"
    os.write(ends.answers, b"+!x")
    ends.cleaner.take_answers(NOW)
    assert ends.done == [(0, True, NOW), (1, False, NOW), (2, False, NOW)]
    assert ends.lines == [b"warning: qmail-clean unable to clean up foop/%d\n" % n for n in (1, 2)]
    assert ends.cleaner.busy
    os.write(ends.answers, b"+")
    ends.cleaner.take_answers(NOW + 5)
    assert ends.done[3:] == [(3, True, NOW + 5)]
    assert not ends.cleaner.busy


def test_what_an_answer_leads_to_may_be_asked_at_once(ends: Ends) -> None:
    ends.cleaner.ask(b"todo/7", lambda done, now: ends.ask(7))
    ends.cleaner.flush(NOW)
    os.write(ends.answers, b"+")
    ends.cleaner.take_answers(NOW)
    ends.cleaner.flush(NOW)
    assert os.read(ends.commands, 4096) == b"todo/7\0foop/7\0"


def test_no_more_is_sent_ahead_than_any_pipe_holds(ends: Ends) -> None:
    numbers = [(1 << 64) - 1 - n for n in range(3 * AHEAD)]
    for n in numbers:
        ends.ask(n)
    sent = b""
    for _ in range(3):
        ends.cleaner.flush(NOW)
        ends.cleaner.flush(NOW)  # nothing more, as long as nothing is answered
        block = os.read(ends.commands, 1 << 16)
        assert block.count(b"\0") == AHEAD and len(block) <= 4096
        sent += block
        assert ends.cleaner.full
        os.write(ends.answers, b"+" * AHEAD)
        ends.cleaner.take_answers(NOW)
    assert sent == b"".join(b"foop/%d\0" % n for n in numbers)
    assert [n for n, _, _ in ends.done] == numbers
    assert not ends.cleaner.full


@pytest.mark.parametrize("half", [0, 1])
def test_when_qmail_clean_is_gone_nobody_waits_for_it(ends: Ends, half: int) -> None:
    for n in range(3):
        ends.ask(n)
    ends.cleaner.flush(NOW)
    os.write(ends.answers, b"+" * half)
    ends.close(ends.answers, ends.commands)
    while ends.cleaner.busy:
        ends.cleaner.take_answers(NOW)
    assert ends.done == [(n, n < half, NOW) for n in range(3)]
    assert ends.cleaner.lost and ends.lines == [LOST]
    ends.ask(9)
    ends.cleaner.flush(NOW)
    assert ends.done[3:] == [(9, False, NOW)]
    assert ends.lines == [LOST]


def test_a_command_that_cannot_be_sent_is_as_good_as_unanswered(ends: Ends) -> None:
    ends.close(ends.commands)
    ends.ask(1)
    ends.cleaner.flush(NOW)
    assert ends.done == [(1, False, NOW)]
    assert ends.cleaner.lost and ends.lines == [LOST] and not ends.cleaner.busy
