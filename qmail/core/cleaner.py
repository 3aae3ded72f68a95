"""qmail-send's end of the pipes to qmail-clean.  qmail-clean(8).

    command  b"todo/N" 0x00  or  b"foop/N" 0x00        remove intd/N and todo/N, or intd/N and mess/s/N
    answer   b"+" done   b"!" not done   b"x" not understood

qmail-clean takes one command at a time and answers in order, so commands are sent ahead of the answers, and nobody
waits for one: what is to be done then is called when it comes."""

from __future__ import annotations

import os
from collections import deque

from ucspi.core.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmail.core.logline import Log

    Then = Callable[[bool, int], None]

AHEAD = 100  # commands sent ahead: 26 bytes each at most, together below the 4,096 that any pipe holds, so none blocks


def forget(done: bool, now: int) -> None:
    """Whether it is gone or not, nothing follows from it."""


class Cleaner:
    """The conversation with qmail-clean; `lost` turns true when it is gone, for good."""

    __slots__ = ("_asked", "_log", "_unsent", "_write", "lost", "read_fd")

    def __init__(self, write: int, read: int, log: Log) -> None:
        self._write, self.read_fd, self._log = write, read, log
        self._asked: deque[tuple[bytes, Then]] = deque()  # not answered yet
        self._unsent: list[bytes] = []  # the last ones of these
        self.lost = False

    @property
    def busy(self) -> bool:
        """Is there an answer to be waited for?"""
        return bool(self._asked)

    @property
    def full(self) -> bool:
        """Is so much asked for that more should wait?"""
        return len(self._asked) >= AHEAD

    def ask(self, name: bytes, then: Then = forget) -> None:
        """Have todo/N or foop/N removed; `then` is called with whether it is gone, and the time, once that is known.

        Also, with False, if qmail-clean dies: nothing is known of it in that case."""
        self._asked.append((name, then))
        self._unsent.append(name)

    def flush(self, now: int) -> None:
        """Send what may be sent."""
        sent = len(self._asked) - len(self._unsent)
        names = self._unsent[: AHEAD - sent]
        if self.lost or not names:
            self._let_go(now)
            return
        del self._unsent[: len(names)]
        try:
            write_all(self._write, b"".join([name + b"\0" for name in names]))
        except OSError:
            self._lose(now)

    def take_answers(self, now: int) -> None:
        """Read once, and do what has been waiting for these answers."""
        try:
            answers = os.read(self.read_fd, max(1, len(self._asked) - len(self._unsent)))
        except OSError:
            answers = b""
        for answer in answers:
            name, then = self._asked.popleft()
            if answer != ord("+"):
                self._log(b"warning: qmail-clean unable to clean up %b\n" % name)
            then(answer == ord("+"), now)
        if not answers:
            self._lose(now)

    def _lose(self, now: int) -> None:
        self.lost = True
        self._log(b"alert: oh no! lost qmail-clean connection! dying...\n")
        self._let_go(now)

    def _let_go(self, now: int) -> None:
        """If it is lost: nobody waits for answers that will not come."""
        while self.lost and self._asked:
            self._asked.popleft()[1](False, now)
        if self.lost:
            self._unsent = []
