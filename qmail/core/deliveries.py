"""Passes over the recipients of due messages, and what their reports lead to.  qmail-send(8).

One message per channel is open at a time; its file is read in order, and each record that is not done becomes a
delivery as soon as there is a slot.  When the last report of a message is in, its file is removed if all is done, else
the message goes back to the schedule.  What is out lives in memory only: after a crash it is delivered again."""

from __future__ import annotations

import os

from qmail.core import bounce, envelope, logline, queuefiles, schedule
from qmail.core.job import Delivery, Job
from qmail.core.rewrite import verp
from ucspi.core.streams import blocks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qmail.core.backlog import Backlog
    from qmail.core.channel import Channel
    from qmail.core.firsttry import FirstTries, Young
    from qmail.core.queuedir import Queue
    from qmail.core.settings import Settings

TURN = 500  # records one channel may read in a turn: done ones cost no slot, and a list may have a hundred thousand


class Pass:
    """The message whose recipients are being read, and how far."""

    __slots__ = ("fd", "job", "position", "records")

    def __init__(self, fd: int, job: Job) -> None:
        self.fd = fd
        self.job = job
        self.records: Iterator[bytes] = envelope.records(blocks(fd, 8192))
        self.position = 0


class Deliveries:
    """Both channels.  `exiting` (TERM, or a lost connection) means that nothing new starts."""

    def __init__(
        self,
        channels: Sequence[Channel],
        queue: Queue,
        backlog: Backlog,
        first: FirstTries,
        settings: Settings,
        log: logline.Log,
    ) -> None:
        self.channels = channels
        self.exiting = any(channel.lost for channel in channels)
        self._queue, self._backlog, self._first, self._settings, self._log = queue, backlog, first, settings, log
        self._passes: list[Pass | None] = [None for _ in channels]
        self._jobs = 0
        self._most_jobs = sum(channel.limit for channel in channels)
        self._last_id = 0

    def status(self) -> None:
        """Log how many deliveries are out."""
        local, remote = self.channels
        self._log(logline.status((local.used, remote.used), (local.limit, remote.limit), self.exiting))

    @property
    def settled(self) -> bool:
        """Is nothing out that could still be reported?"""
        return not any(channel.used and not channel.lost for channel in self.channels)

    # What to do now, and when to come back

    def start_due(self, now: int) -> None:
        """Start what is due, as far as there are slots."""
        for channel in self.channels:
            for _ in range(TURN):
                if self.exiting or not channel.available or not self._step(channel, now):
                    break
            channel.flush()
        self.watch()

    def wake(self, latest: int) -> int:
        """When there is something to start at the earliest, `latest` if not before; 0: at once."""
        if self.exiting:
            return latest
        for channel, opened in zip(self.channels, self._passes, strict=True):
            if not channel.available:
                continue  # a report will wake us
            if opened:
                return 0
            if self._jobs < self._most_jobs:
                latest = self._backlog.channels[channel.index].earliest(latest)
        return latest

    def watch(self) -> None:
        """A lost spawn program ends qmail-send: whoever started it starts all of them anew."""
        if any(channel.lost for channel in self.channels):
            self.exiting = True

    # Passes

    def _step(self, channel: Channel, now: int) -> bool:
        """Open a message, or take one record of the open one.  False: nothing is due."""
        opened = self._passes[channel.index]
        if opened is None:
            due = self._backlog.channels[channel.index]
            if self._jobs >= self._most_jobs or not due.due(now):
                return False
            self._begin(channel, due.pop()[1], now)
            return True
        job = opened.job
        try:
            record = next(opened.records, None)
        except OSError:
            self._log(logline.warning(b"trouble reading %b; will try again later" % self._name(job)))
            self._close(opened, now, complete=False)
            return True
        if record is None:
            self._close(opened, now, complete=True)
        elif record[:1] == b"T":
            if job.skip and opened.position in job.skip:
                pass
            elif self._backlog.holds and self._backlog.holds.holds(job.number, channel.index, record[1:]):
                job.left += 1
            else:
                self._start(channel, job, opened.position, record[1:])
            opened.position += len(record) + 1
        elif record[:1] == b"D":
            opened.position += len(record) + 1
        else:
            self._log(logline.warning(b"unknown record type in %b!" % self._name(job)))
            self._close(opened, now, complete=False)
        return True

    def _begin(self, channel: Channel, number: int, now: int) -> None:
        """Start with a message that is due."""
        young = self._first.take(number)
        if young is not None:
            self._start_young(channel, young, now)
        elif not self._first.dropped(number) and not self._first.waits(number):
            self._open(channel, number, now)

    def _start_young(self, channel: Channel, young: Young, now: int) -> None:
        retry = schedule.next_attempt(young.since, now, channel.index)
        job = Job(channel.index, young.number, young.sender, retry, now > young.since + self._settings.lifetime)
        job.reading, job.complete = False, True
        self._jobs += 1
        self._start(channel, job, 0, young.recipient)

    def _open(self, channel: Channel, number: int, now: int) -> None:
        trouble = kind = logline.CHANNELS[channel.index]
        try:
            fd = queuefiles.open_recipients(self._queue, kind, number)
            trouble = b"info"
            try:
                sender, birth = queuefiles.info(self._queue, number)
            except OSError:
                os.close(fd)
                raise
        except OSError:
            name = self._queue.split_name(trouble, number)
            self._log(logline.warning(b"trouble opening %b; will try again later" % name))
            self._backlog.channels[channel.index].add(now + schedule.SYSFAIL, number)
            return
        retry = schedule.next_attempt(birth, now, channel.index)
        last = now > birth + self._settings.lifetime
        self._passes[channel.index] = Pass(fd, Job(channel.index, number, sender, retry, last))
        self._jobs += 1

    def _start(self, channel: Channel, job: Job, position: int, recipient: bytes) -> None:
        self._last_id += 1
        delivery = Delivery(self._last_id, job, position, recipient)
        job.left += 1
        job.out += 1
        channel.start(delivery, self._queue.messid(job.number), verp(job.sender, recipient))
        self._log(logline.starting(delivery.id, job.number, channel.index, recipient))
        self.status()

    def _close(self, opened: Pass, now: int, complete: bool) -> None:
        os.close(opened.fd)
        job = opened.job
        self._passes[job.channel] = None
        job.reading = False
        job.complete = complete
        self._settle(job, now)

    # Reports

    def take_reports(self, channel: Channel, now: int) -> None:
        """Act on what the spawn program of `channel` has to say."""
        for delivery, letter, text in channel.reports():
            if letter == b"Z" and delivery.job.last:
                letter, text = b"D", text + bounce.TOO_LONG
            if letter == b"Z" and delivery.reason is not None:
                letter, text = b"D", text + delivery.reason
            self._log(logline.report(delivery.id, letter, text))
            if delivery.decided and delivery.reason is None:
                letter = b"K"  # deleted: no more is heard of it
            self._note(delivery, letter, text, now)
            self.status()
        self.watch()

    def note_held(self, now: int) -> None:
        """Note the reports that there were no files for when they came."""
        while self._first.ready:
            self._note(*self._first.ready.pop(), now)

    def _note(self, delivery: Delivery, letter: bytes, text: bytes, now: int) -> None:
        job = delivery.job
        if not letter or self._first.dropped(job.number):
            self._jobs -= 1  # given up
            return
        if letter == b"K" and self._first.deliver(job.number):
            self._jobs -= 1
            self._backlog.done.add(now, job.number)
            return
        if self._first.hold((delivery, letter, text)):
            return
        if letter == b"D":
            # Before the mark: a crash in between bounces twice, the other order would lose the failure.
            paragraph = bounce.paragraph(self._settings.routes.unprefixed(delivery.recipient), text)
            if not self._append(job.number, paragraph):
                letter = b"Z"
        if letter in (b"D", b"K"):
            self._mark(job, delivery.position)
            job.left -= 1
        job.out -= 1
        self._settle(job, now)

    def jobs(self) -> set[Job]:
        """All that are under way, up to the noting of the last report."""
        jobs = {opened.job for opened in self._passes if opened}
        jobs.update(delivery.job for channel in self.channels for delivery in channel.out())
        return jobs | self._first.jobs()

    # The administrator's hand; a message that is not under delivery is none of our business

    def out(self, number: int, channel: int) -> frozenset[int]:
        """Where the records of a message are whose deliveries are out."""
        return frozenset([each.position for each in self.channels[channel].out() if each.job.number == number])

    def is_new(self, number: int) -> bool:
        """Is it on no schedule yet, or without files?  qmail-clean may have removed todo/N a moment ago."""
        return number in self._first

    def has(self, number: int, channel: int) -> bool:
        """Is there a pass over this message, or a report to come?"""
        return self._job(number, channel) is not None

    def decide(self, number: int, channel: int, position: int, reason: bytes | None) -> None:
        """A delivery that is out is the last one: what is deferred fails with `reason`, or (None) counts as done."""
        for delivery in self.channels[channel].out():
            if (delivery.job.number, delivery.position) == (number, position):
                delivery.decided, delivery.reason = True, reason

    def skip(self, number: int, channel: int, positions: Iterable[int]) -> None:
        """These records, none of which is out, have been marked as done."""
        job = self._job(number, channel)
        if job is None:
            return
        opened = self._passes[channel]
        ahead = opened.position if opened and opened.job is job else None
        for position in positions:
            if ahead is not None and position >= ahead:
                job.skip.add(position)
            else:
                job.left -= 1

    def retry(self, number: int, now: int) -> None:
        """Try again, as soon as the pass that is under way is through, what it leaves."""
        for channel in range(len(self.channels)):
            job = self._job(number, channel)
            if job:
                job.retry = now

    def _job(self, number: int, channel: int) -> Job | None:
        opened = self._passes[channel]
        if opened and opened.job.number == number:
            return opened.job
        return next((each.job for each in self.channels[channel].out() if each.job.number == number), None)

    def _append(self, number: int, text: bytes) -> bool:
        """A failure that cannot be written down must not be forgotten: nothing else happens until it can.

        False where only this message has something else in the place of its file: it alone is put off."""
        while True:
            try:
                queuefiles.append_bounce(self._queue, number, text)
                return True
            except OSError:
                if queuefiles.is_foreign(self._queue.bounce(number)):
                    name = self._queue.bounce_name(number)
                    self._log(logline.warning(b"trouble writing to %b" % name))
                    return False
                self._log.stall(b"unable to append to bounce message; HELP! sleeping...")

    def _mark(self, job: Job, position: int) -> None:
        try:
            queuefiles.mark_done(self._queue, logline.CHANNELS[job.channel], job.number, position)
        except OSError:
            name = self._name(job)
            self._log(logline.warning(b"trouble marking %b; message will be delivered twice!" % name))

    def _settle(self, job: Job, now: int) -> None:
        """Where a message goes when the pass over it is through and the last report is in."""
        if job.reading or job.out:
            return
        self._jobs -= 1
        retry = job.retry
        if job.complete and not job.left:
            try:
                queuefiles.unlink(self._queue.at(self._name(job)))
            except OSError:
                self._log(logline.warning(b"unable to unlink %b; will try again later" % self._name(job)))
                retry = now + schedule.SYSFAIL
            else:
                self._finished(job, now)
                return
        self._backlog.channels[job.channel].add(retry, job.number)

    def _finished(self, job: Job, now: int) -> None:
        other = self._queue.split_name(logline.CHANNELS[1 - job.channel], job.number)
        try:
            if queuefiles.exists(self._queue.at(other)):
                return  # the other channel will come here when it is through
        except OSError:
            # Look again when the message is wound up: that leaves it alone if the other channel is not through.
            self._log(logline.warning(b"unable to stat %b" % other))
        self._backlog.done.add(now, job.number)

    def _name(self, job: Job) -> bytes:
        return self._queue.split_name(logline.CHANNELS[job.channel], job.number)
