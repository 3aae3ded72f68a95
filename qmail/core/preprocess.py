"""From todo to the channels: qmail-send sorts the recipients of new messages.  qmail-send(8), INTERNALS S4 to S5.

    todo/N  ->  info/N, local/N, remote/N  ->  synced, in threads  ->  qmail-clean unlinks intd/N, todo/N  ->  scheduled

A scan of todo/ starts when the trigger is pulled or 25 minutes after the last start, and goes on a slice at a time:
new mail, however much, must not keep deliveries waiting.  What fails stays in todo/ for the next scan."""

from __future__ import annotations

import time

from qmail.core import logline, queuefiles
from qmail.core.disk import Disk
from qmail.core.queuefiles import Preprocessing, Trouble
from ucspi.core import scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmail.core.backlog import Backlog
    from qmail.core.cleaner import Cleaner
    from qmail.core.queuedir import Queue, Trigger
    from qmail.core.settings import Settings

RESCAN = 1500  # seconds after which todo/ is looked at even if nobody pulled the trigger
SLICE = 20  # messages in a turn at most; they share one round trip to qmail-clean
SLICE_TIME = 0.010  # seconds after which no further message is begun in a turn


class Todo:
    """The scans."""

    def __init__(
        self,
        queue: Queue,
        trigger: Trigger,
        cleaner: Cleaner,
        backlog: Backlog,
        settings: Settings,
        log: logline.Log,
        now: int,
    ) -> None:
        self._queue, self._trigger, self._cleaner = queue, trigger, cleaner
        self._backlog, self._settings, self._log = backlog, settings, log
        self._scan: Iterator[int] | None = None
        self._pulled = False
        self.disk = Disk()
        self._written: list[Preprocessing] = []
        self._next_scan = now

    def wake(self, latest: int) -> int:
        """When to come back at the earliest without a pull, `latest` if not before; 0: at once."""
        if self.disk.busy:
            return latest  # `disk.fd` tells
        return 0 if self._scan else min(latest, self._next_scan)

    def work(self, now: int, pulled: bool) -> None:
        """One slice of the scan under way, or of a new one if it is time; nothing while one is on its way to disk."""
        self.finish(now)
        self._pulled = self._pulled or pulled
        if self.disk.busy:
            return
        if self._scan is None and (self._pulled or now >= self._next_scan):
            self._start(now)
        if self._scan is None:
            return
        until = time.monotonic() + SLICE_TIME
        for _ in range(SLICE):
            number = self._next()
            if number is None:
                self._scan = None
                break
            message = self._preprocess(number)
            if message is not None:
                self._written.append(message)
            if time.monotonic() > until:
                break
        if self._written:
            self.disk.start({path: sync for message in self._written for path, sync in message.syncs()})

    def finish(self, now: int) -> None:
        """If a slice has reached the disk: have todo removed, and schedule its messages."""
        if not self.disk.done():
            return
        lasting = []
        for message in self._written:
            try:
                message.check(self.disk.failed)
                lasting.append(message)
            except Trouble as trouble:
                self._log(logline.warning(trouble.text))
            finally:
                message.close()
        self._written = []
        self._hand_over(lasting, now)

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

    def _preprocess(self, number: int) -> Preprocessing | None:
        """Write info, local and remote; None if that failed (which is logged)."""
        message = None
        try:
            message = Preprocessing(self._queue, number)
            self._log(logline.new(number))
            self._sort(message)
            message.end()
            return message
        except Trouble as trouble:
            self._log(logline.warning(trouble.text))
            if message is not None:
                message.close()
            return None

    def _sort(self, message: Preprocessing) -> None:
        uid = qp = 0
        rewrite = self._settings.routes.rewrite
        for record in message.records():
            letter, value = record[:1], record[1:]
            if letter == b"T":
                channel, address = rewrite(value)
                message.recipient(logline.CHANNELS[channel], address)
            elif letter == b"F":
                message.sender(value)
                self._log(logline.info(message.n, message.size, value, qp, uid))
            elif letter == b"u":
                uid = scan.number(value)
            elif letter == b"p":
                qp = scan.number(value)
            else:
                raise Trouble(b"unknown record type in %b" % self._queue.todo_name(message.n))

    def _hand_over(self, ready: list[Preprocessing], now: int) -> None:
        """Have todo removed, and schedule what is preprocessed by that.

        If qmail-clean dies in the middle the rest stays in todo, as after a crash: preprocessed again, from scratch."""
        answers = self._cleaner.clean([self._queue.todo_name(message.n) for message in ready])
        for message, removed in zip(ready, answers, strict=False):
            if not removed:
                continue
            for kind in message.channels:
                self._backlog.channels[logline.CHANNELS.index(kind)].add(now, message.n)
            if not message.channels:
                self._backlog.done.add(now, message.n)
