"""The end of a message: every recipient is settled, so bounce what failed, and remove it.  qmail-send(8), INTERNALS S5.

    bounce/N injected   ->  bounce/N unlinked   ->  `end msg`   ->  info/N unlinked   ->  qmail-clean: intd/N, mess/N
    delivered straight from todo/ (firsttry):  qmail-clean: intd/N, todo/N   ->  `end msg`   ->  qmail-clean: mess/N

A crash between any two of these repeats the bounce at worst; until info goes the message is still there to be bounced,
and after that nobody looks for the rest, which the sweep removes some day."""

from __future__ import annotations

import os
import time
from functools import partial

from qmail.core import logline, queuefiles
from qmail.core.bounce import DOUBLE, Notice, addressee
from qmail.core.schedule import SYSFAIL
from ucspi.core.streams import blocks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmail.core.backlog import Backlog
    from qmail.core.cleaner import Cleaner
    from qmail.core.firsttry import FirstTries
    from qmail.core.queuedir import Queue
    from qmail.core.settings import Settings
    from qmail.core.submit import Submission

SLICE = 20  # messages in a turn at most
SLICE_TIME = 0.010  # seconds after which no further message is begun in a turn


class NotYet(Exception):
    """The message cannot be removed now; str() is the warning, if there is one to log."""


class WindUp:
    """Takes what is done off the backlog and off the queue."""

    def __init__(
        self,
        queue: Queue,
        backlog: Backlog,
        cleaner: Cleaner,
        first: FirstTries,
        settings: Settings,
        log: logline.Log,
        open_queue: Callable[[], Submission],
    ) -> None:
        self._queue, self._backlog, self._cleaner, self._first = queue, backlog, cleaner, first
        self._settings, self._log = settings, log
        self._open_queue = open_queue

    def work(self, now: int) -> None:
        """A slice of what is due."""
        until = time.monotonic() + SLICE_TIME
        done = self._backlog.done
        for _ in range(SLICE):
            if self._cleaner.full or not done.due(now):
                break
            number = done.pop()[1]
            if self._first.delivered(number):
                self._cleaner.ask(self._queue.todo_name(number), partial(self._end, number))
                continue
            try:
                if self._is_done(number):
                    self._bounce(number, now)
                    self._remove(number)
                    self._cleaner.ask(b"foop/%d" % number)
            except NotYet as trouble:
                if trouble.args:
                    self._log(logline.warning(trouble.args[0]))
                done.add(now + SYSFAIL, number)
            if time.monotonic() > until:
                break

    def _end(self, number: int, gone: bool, now: int) -> None:
        """A message that was delivered straight from todo/: what is left to remove of it now that todo/N is gone.

        If that stays there, it is not delivered again in this life of qmail-send; its removal is tried again."""
        if gone:
            self._first.leave(number)
            self._log(logline.end(number))
            self._cleaner.ask(b"foop/%d" % number)
        else:
            self._backlog.done.add(now + SYSFAIL, number)

    def _is_done(self, number: int) -> bool:
        """Nothing but info is left, as far as delivery goes.  Raises NotYet."""
        queue = self._queue
        if self._there(queue.local_name(number)) or self._there(queue.remote_name(number)):
            return False  # the other channel is not through, after all
        return not self._there(queue.todo_name(number)) and self._there(queue.info_name(number))

    def _there(self, name: bytes) -> bool:
        try:
            return queuefiles.exists(self._queue.at(name))
        except OSError:
            raise NotYet(b"unable to stat %b; will try again later" % name) from None

    def _bounce(self, number: int, now: int) -> None:
        """Tell the sender what failed, if anything did.  Raises NotYet."""
        try:
            original = addressee(queuefiles.info(self._queue, number)[0])
        except OSError:
            raise NotYet from None
        name = self._queue.bounce_name(number)
        try:
            if not queuefiles.exists(self._queue.at(name)):
                return
        except OSError:
            raise NotYet(b"unable to stat %b" % name) from None
        if original == DOUBLE:
            self._log(logline.triple(name))
        else:
            qp = self._inject(number, Notice(original, self._settings), now)
            self._log(logline.bounce(number, qp))
        try:
            queuefiles.unlink(self._queue.at(name))
        except OSError:
            raise NotYet(b"unable to unlink %b" % name) from None

    def _inject(self, number: int, notice: Notice, now: int) -> int:
        """Queue the notice; return who queued it.  Blocks as long as that takes."""
        # A foreign QMAILQUEUE may take a while, and the administrator should see what came before it.
        self._log.flush()
        try:
            submission = self._open_queue()
        except OSError:
            raise NotYet(b"unable to start qmail-queue, will try later") from None
        submission.write(notice.head(now))
        self._copy(self._queue.bounce(number), submission)
        submission.write(notice.tail())
        self._copy(self._queue.mess(number), submission)
        if submission.close(notice.sender, [notice.recipient]):
            raise NotYet(b"trouble injecting bounce message, will try later")
        return submission.qp

    def _copy(self, path: bytes, submission: Submission) -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                for block in blocks(fd):
                    submission.write(block)
            finally:
                os.close(fd)
        except OSError:
            submission.fail()

    def _remove(self, number: int) -> None:
        self._log(logline.end(number))
        name = self._queue.info_name(number)
        try:
            queuefiles.unlink(self._queue.at(name))
        except OSError:
            raise NotYet(b"unable to unlink %b; will try again later" % name) from None
        self._backlog.holds.forget(number)
