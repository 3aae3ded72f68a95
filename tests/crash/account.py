"""Which deliveries may have been made twice, by qmail-send's log: every line of it, written before the next thing is done.

A delivery may be repeated if it was deferred, or if somebody who has to do with it died between its start and the note
of its end: while it was under way, or when it had been reported and that was not noted yet.  Noted it is

    of several recipients   in local/N or remote/N, with a mark: before the status line that follows the report
    the only recipient      by the removal of todo/N or of the channel file (qmail-send(8), Mail for one recipient): before
                            the message's last line

What was made twice, then, is at most what was repeated of those that had a death in this span."""

from __future__ import annotations

import bisect
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

STARTING = re.compile(rb"starting delivery (\d+): msg (\d+) to \w+ (\S+)")
REPORT = re.compile(rb"delivery (\d+): (success|failure|deferral|report mangled)")
END = re.compile(rb"end msg (\d+)")
NEVER = 1 << 62


class Death:
    """A process killed: how long the log was just before and just after.

    `daemon`: it was qmail-send or one of those without which qmail-send ends, so it is felt until then."""

    def __init__(self, before: int, after: int, daemon: bool) -> None:
        self.before, self.after, self.daemon = before, after, daemon


class Attempt:
    """One delivery.  Places in the log; NEVER is a line that is not there."""

    def __init__(self, start: int, recipient: bytes) -> None:
        self.start, self.recipient = start, recipient
        self.outcome = b""  # nothing was reported
        self.status = self.end = NEVER  # the lines that say that it is noted, the one or the other


class Account:
    """`repeated`: by recipient, deliveries that may have been made twice; `wrong`: those that must not have been begun
    again."""

    def __init__(self, log: bytes, lives: Sequence[int], deaths: Sequence[Death]) -> None:
        """`lives`: how long the log was whenever qmail-send was started."""
        self._lives = lives
        self._spans = [self._span(death) for death in deaths]
        self.repeated: Counter[bytes] = Counter()
        self.wrong: list[str] = []
        for number, attempts in _messages(log, lives):
            by_recipient: dict[bytes, list[Attempt]] = defaultdict(list)
            for attempt in attempts:
                by_recipient[attempt.recipient].append(attempt)
            for recipient, tries in by_recipient.items():
                for first, second in itertools.pairwise(tries):
                    self._judge(number, recipient, first, second, only=len(by_recipient) == 1)

    def _judge(self, number: bytes, recipient: bytes, first: Attempt, second: Attempt, only: bool) -> None:
        noted = min(first.end if only else first.status, self._life_after(first.start))
        if any(before <= noted and first.start <= after for before, after in self._spans):
            self.repeated[recipient] += 1
        elif first.outcome not in (b"deferral", b"report mangled"):
            what = f"{first.outcome.decode() or 'no report'} at {first.start}, again at {second.start}"
            self.wrong.append(f"msg {number.decode()} to {recipient.decode()}: {what}")

    def _span(self, death: Death) -> tuple[int, int]:
        return death.before, self._life_after(death.before) if death.daemon else death.after

    def _life_after(self, place: int) -> int:
        following = bisect.bisect_right(self._lives, place)
        return self._lives[following] if following < len(self._lives) else NEVER


def _messages(log: bytes, lives: Sequence[int]) -> list[tuple[bytes, list[Attempt]]]:
    """Number and deliveries of each message; a number that is given out again is another message."""
    done: list[tuple[bytes, list[Attempt]]] = []
    messages: dict[bytes, list[Attempt]] = defaultdict(list)
    out: dict[tuple[int, bytes], Attempt] = {}  # by life and the number of the delivery
    reported: dict[int, list[Attempt]] = defaultdict(list)  # by life, and not noted yet
    place = 0
    for line in log.splitlines(keepends=True):
        life = bisect.bisect_right(lives, place)
        if match := STARTING.match(line):
            attempt = out[life, match[1]] = Attempt(place, match[3])
            messages[match[2]].append(attempt)
        elif match := REPORT.match(line):
            attempt = out[life, match[1]]
            attempt.outcome = match[2]
            reported[life].append(attempt)
        elif line.startswith(b"status: "):
            for attempt in reported.pop(life, ()):
                attempt.status = place
        elif match := END.match(line):
            ended = messages.pop(match[1], [])
            for attempt in ended:
                attempt.end = place
            done.append((match[1], ended))
        place += len(line)
    return [*done, *messages.items()]
