"""From todo to the channels: qmail-send sorts the recipients of new messages.  qmail-send(8), INTERNALS S4 to S5.

    todo/N  ->  info/N, local/N, remote/N  ->  synced, in threads  ->  qmail-clean unlinks intd/N, todo/N  ->  scheduled

A scan of todo/ starts when the trigger is pulled or 25 minutes after the last start, and goes on a slice at a time:
new mail, however much, must not keep deliveries waiting.  What fails stays in todo/ for the next scan.

Mail for one recipient is scheduled at once, and goes this way only if it is not delivered at once (firsttry)."""

from __future__ import annotations

import time

from qmail.core import logline, queuefiles
from qmail.core.channelfiles import Gone, Preprocessing, Trouble
from qmail.core.disk import Disk
from qmail.core.firsttry import Young
from ucspi.core import scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qmail.core.backlog import Backlog
    from qmail.core.cleaner import Cleaner
    from qmail.core.firsttry import FirstTries
    from qmail.core.queuedir import Queue, Trigger
    from qmail.core.settings import Settings

RESCAN = 1500  # seconds after which todo/ is looked at even if nobody pulled the trigger
SLICE = 20  # messages in a turn at most
SLICE_TIME = 0.010  # seconds after which no further message is begun in a turn


class Todo:
    """The scans."""

    def __init__(
        self,
        queue: Queue,
        trigger: Trigger,
        cleaner: Cleaner,
        backlog: Backlog,
        first: FirstTries,
        settings: Settings,
        log: logline.Log,
        now: int,
    ) -> None:
        self._queue, self._trigger, self._cleaner, self._first = queue, trigger, cleaner, first
        self._backlog, self._settings, self._log = backlog, settings, log
        self._scan: Iterator[int] | None = None
        self._pulled = False
        self.disk = Disk()
        self._ripe: list[Preprocessing] = []  # written, and next to be synced
        self._written: list[Preprocessing] = []  # on their way to disk
        self._next_scan = now

    @property
    def listening(self) -> bool:
        """Is a pull of the trigger news?  It stays pulled until the next scan, and must not wake us all that time."""
        return not self._pulled

    @property
    def busy(self) -> bool:
        """Is there something to be waited for before an exit?"""
        return self.disk.busy or bool(self._ripe) or self._first.busy

    def wake(self, latest: int) -> int:
        """When to come back at the earliest without a pull, `latest` if not before; 0: at once."""
        latest = self._first.wake(latest)
        if self._ripe and not self.disk.busy:
            return 0
        if self._blocked:
            return latest  # `disk.fd` tells, or a report, or an answer
        return 0 if self._scan or self._pulled else min(latest, self._next_scan)

    def shift(self, seconds: int) -> None:
        """The clock has been set back."""
        self._next_scan += seconds

    def work(self, now: int, pulled: bool) -> None:
        """One slice of the scan under way, or of a new one if it is time."""
        self.finish(now)
        self._pulled = self._pulled or pulled
        if self._scan is None and not self._blocked and (self._pulled or now >= self._next_scan):
            self._start(now)
        if self._scan is not None and not self._blocked:
            self._slice(now)
        self._sync()

    @property
    def _blocked(self) -> bool:
        """Is so much under way that more would only grow in memory?"""
        return len(self._ripe) >= SLICE or self._first.full or self._cleaner.full

    def _slice(self, now: int) -> None:
        until = time.monotonic() + SLICE_TIME
        for _ in range(SLICE):
            number = self._next()
            if number is None:
                self._scan = None
                break
            if number not in self._first and not self._try_at_once(number, now):
                message = self._preprocess(number, self._log)
                if message is not None:
                    self._first.syncing(number)
                    self._ripe.append(message)
            if self._blocked or time.monotonic() > until:
                break

    def _try_at_once(self, number: int, now: int) -> bool:
        """Schedule a message for one recipient, without further ado; False if it is not of the kind."""
        found = queuefiles.new_mail(self._queue, number) if self._first.may_try(number) else None
        if found is None:
            return False
        records, size = found
        fields = {record[:1]: record[1:] for record in records}
        if len(records) != 4 or fields.keys() != {b"u", b"p", b"F", b"T"}:
            return False
        channel, address = self._settings.routes.rewrite(fields[b"T"])
        if not self._first.welcome(channel, now):
            return False
        sender = fields[b"F"]
        self._log(logline.new(number))
        self._log(logline.info(number, size, sender, scan.number(fields[b"p"]), scan.number(fields[b"u"])))
        self._first.add(Young(number, now, sender, channel, address), now)
        return True

    def _sync(self) -> None:
        if self._ripe and not self.disk.busy:
            self._written, self._ripe = self._ripe, []
            self.disk.start({path: sync for message in self._written for path, sync in message.syncs()})

    def finish(self, now: int) -> None:
        """If a slice has reached the disk: have todo removed, and schedule its messages.  Send the next one there."""
        for number in self._first.overdue(now):
            message = self._preprocess(number, _mute)
            if message is None:
                self._first.not_synced(number)
            else:
                self._ripe.append(message)
        if self.disk.done():
            self._lasting()
        self._sync()

    def _lasting(self) -> None:
        for message in self._written:
            try:
                message.check(self.disk.failed)
                self._hand_over(message)
            except Trouble as trouble:
                self._log(logline.warning(trouble.text))
                self._first.not_synced(message.n)
            finally:
                message.close()
        self._written = []

    def _start(self, now: int) -> None:
        # Before the directory is opened: a pull from now on is for a name that this scan may miss, and stays pulled.
        self._trigger.reopen()
        self._pulled = False
        try:
            self._scan = queuefiles.numbers(self._queue, b"todo")
            self._next_scan = now + RESCAN
        except OSError:
            self._log(logline.alert(b"unable to opendir todo, sleeping..."))
            self._next_scan = now + logline.PATIENCE

    def _next(self) -> int | None:
        try:
            return next(self._scan, None) if self._scan else None
        except OSError:
            return None  # as the end of the directory: what it hides is for the next scan

    def _preprocess(self, number: int, log: Callable[[bytes], None]) -> Preprocessing | None:
        """Write info, local and remote; None if that failed (which is logged) or todo is gone.

        `log` is told of the new message."""
        message = None
        try:
            message = Preprocessing(self._queue, number)
            log(logline.new(number))
            self._sort(message, log)
            message.end()
            return message
        except Gone:
            return None
        except Trouble as trouble:
            self._log(logline.warning(trouble.text))
            if message is not None:
                message.close()
            return None

    def _sort(self, message: Preprocessing, log: Callable[[bytes], None]) -> None:
        uid = qp = 0
        rewrite = self._settings.routes.rewrite
        for record in message.records():
            letter, value = record[:1], record[1:]
            if letter == b"T":
                channel, address = rewrite(value)
                message.recipient(logline.CHANNELS[channel], address)
            elif letter == b"F":
                message.sender(value)
                log(logline.info(message.n, message.size, value, qp, uid))
            elif letter == b"u":
                uid = scan.number(value)
            elif letter == b"p":
                qp = scan.number(value)
            else:
                raise Trouble(b"unknown record type in %b" % self._queue.todo_name(message.n))

    def _hand_over(self, message: Preprocessing) -> None:
        """Have todo removed, and then schedule what is preprocessed by that.

        If it is not removed the message stays in todo, as after a crash: preprocessed again, from scratch."""
        n, channels = message.n, message.channels

        def then(removed: bool, now: int) -> None:
            if not removed:
                self._first.not_synced(n)
            elif self._first.synced(n):
                for kind in channels:
                    self._backlog.channels[logline.CHANNELS.index(kind)].add(now, n)
                if not channels:
                    self._backlog.done.add(now, n)

        self._cleaner.ask(self._queue.todo_name(n), then)


def _mute(line: bytes) -> None:
    """The log, for what was logged before."""
