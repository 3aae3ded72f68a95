"""All messages that qmail-send knows of and is not working on, by what comes next for them.  qmail-send(8), INTERNALS.

    channels   a pass over local/N or remote/N is due at a time
    done       neither is left: bounce, then remove the message
    unjudged   the files could not be looked at; look again later
    holds      what the administrator holds back of them, wherever they are

It is memory only: made from the queue at start, and written back at exit as modification times of local/N and remote/N.
Between the two nothing is lost by a crash but the schedule, and messages are tried too soon."""

from __future__ import annotations

import os

from qmail.core import logline, queuefiles
from qmail.core.hold import Holds
from qmail.core.queuedir import SPLIT
from qmail.core.schedule import SYSFAIL, Schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Container, Sequence

    from qmail.core.queuedir import Queue


class Backlog:
    """The schedules."""

    __slots__ = ("_log", "_queue", "channels", "done", "half_done", "holds", "unjudged")

    def __init__(self, queue: Queue, log: logline.Log) -> None:
        self._queue, self._log = queue, log
        self.channels = (Schedule(), Schedule())
        self.done = Schedule()
        self.unjudged = Schedule()
        self.holds = Holds(queue)
        self.half_done: list[int] = []  # with files of an earlier try, or an earlier life of the number, in the way

    def load(self, now: int) -> None:
        """Take in every preprocessed message of the queue, at start.

        Waits for a directory that cannot be read: to go on without would be to forget the mail in it."""
        for split in range(SPLIT):
            name = b"info/%d" % split
            while True:
                try:
                    numbers = list(queuefiles.numbers(self._queue, name))
                    break
                except OSError:
                    self._log.stall(b"unable to opendir %b, sleeping..." % name)
            for number in numbers:
                self.judge(number, now)
        self.holds.load()
        try:
            self.half_done += queuefiles.numbers(self._queue, b"bounce")
        except OSError:
            pass  # then there is nothing that could be in the way of a message

    def judge(self, number: int, now: int) -> None:
        """Find out from the queue where a preprocessed message stands."""
        name = self._queue.info_name(number)
        found: list[tuple[Schedule, int]] = []
        try:
            if not queuefiles.exists(self._queue.at(name)):
                return
            name = self._queue.todo_name(number)
            if queuefiles.exists(self._queue.at(name)):
                self.half_done.append(number)
                return  # we died while info was being written; preprocessing will come round to it
            name = self._queue.mess_name(number)
            if not queuefiles.exists(self._queue.at(name)):
                # It was through, bounce and all, or mess would be there: a power cut brought back what was removed.
                queuefiles.remove_remains(self._queue, number)
                self._log(logline.end(number))
                return
            for kind, channel in zip(logline.CHANNELS, self.channels, strict=True):
                name = self._queue.split_name(kind, number)
                when = queuefiles.next_attempt(self._queue, kind, number)
                if when is not None:
                    found.append((channel, when))
        except OSError:
            self._log(logline.warning(b"unable to stat %b; will try again later" % name))
            self.unjudged.add(now + SYSFAIL, number)
            return
        for channel, when in found or [(self.done, now)]:
            channel.add(when, number)

    def rejudge(self, now: int) -> None:
        """Look again at one message that could not be judged."""
        if self.unjudged.due(now):
            self.judge(self.unjudged.pop()[1], now)

    def wake(self, latest: int) -> int:
        """When a message has to be wound up or judged at the earliest, `latest` if not before."""
        return self.unjudged.earliest(self.done.earliest(latest))

    def shift(self, seconds: int) -> None:
        """The clock has been set back: nothing is to wait for it to come round again."""
        for schedule in (*self.channels, self.done, self.unjudged):
            schedule.shift(seconds)

    def all_now(self, now: int) -> None:
        """ALRM: every message waits no longer."""
        for channel in self.channels:
            channel.all_now(now)

    def bring_forward(self, numbers: Sequence[Collection[int]], now: int) -> None:
        """Make messages due that wait for a pass over local, over remote, or to be wound up: a collection for each."""
        for schedule, wanted in zip((*self.channels, self.done), numbers, strict=True):
            if wanted:
                schedule.bring_forward(wanted, now)

    def through(self, numbers: Sequence[Collection[int]], now: int) -> None:
        """Messages, by channel, whose channel file has been removed without a pass: off the schedule, and on to their
        end if the other channel is through as well."""
        for schedule, gone in zip(self.channels, numbers, strict=True):
            if gone:
                schedule.drop(gone)
        for number in frozenset().union(*numbers):
            names = [self._queue.split_name(kind, number) for kind in logline.CHANNELS]
            if not any(os.path.lexists(self._queue.at(name)) for name in names):
                self.done.add(now, number)

    def save(self, new: Container[int]) -> None:
        """Write the times of the next attempts into the queue, where the next qmail-send looks for them.

        Not of messages that are `new`, and have no file for that yet: to the next qmail-send they are new as well."""
        for kind, channel in zip(logline.CHANNELS, self.channels, strict=True):
            while channel:
                when, number = channel.pop()
                if number in new:
                    continue
                try:
                    queuefiles.set_next_attempt(self._queue, kind, number, when)
                except OSError:
                    name = self._queue.split_name(kind, number)
                    self._log(logline.warning(b"unable to utime %b; message will be retried too soon" % name))
