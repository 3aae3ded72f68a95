"""The clean-up of what receptions left behind that never came to an end.  qmail-send(8), INTERNALS S2 and S3.

All of mess/ is walked through, at start and then about once a day, a few names a turn.  What is older than any
reception lasts and belongs to no message is given to qmail-clean.  What a crash of the
system brings back in local/, remote/ and bounce/ when the message is long gone is removed here."""

from __future__ import annotations

from qmail.core import logline, queuefiles
from qmail.core.queuedir import DEATH, SPLIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmail.core.cleaner import Cleaner
    from qmail.core.queuedir import Queue

PERIOD = 76431  # seconds from the end of one walk to the next
SLICE = 50  # names in a turn: a stat(2) each
MESS = b"mess"
WALK = (
    *((MESS, b"mess/%d" % split) for split in range(SPLIT)),
    *((kind, b"%b/%d" % (kind, split)) for kind in (b"local", b"remote") for split in range(SPLIT)),
    (b"bounce", b"bounce"),
)


class Sweep:
    """The walk."""

    def __init__(self, queue: Queue, cleaner: Cleaner, log: logline.Log, now: int) -> None:
        self._queue, self._cleaner, self._log = queue, cleaner, log
        self._place = 0
        self._numbers: Iterator[int] | None = None
        self._next = now
        self._asked = 0  # of qmail-clean, and not answered yet

    def wake(self, latest: int) -> int:
        """When to come back at the earliest, `latest` if not before; 0: at once."""
        if self._asked:
            return latest  # the answer will wake us
        return 0 if self._numbers is not None else min(latest, self._next)

    def shift(self, seconds: int) -> None:
        """The clock has been set back."""
        self._next += seconds

    def rest(self, now: int) -> None:
        """The clock has been set forward: what is being received looks as old as what was given up.

        So nothing is judged until those receptions have ended themselves."""
        self._numbers, self._place = None, 0
        self._next = now + DEATH

    def work(self, now: int) -> None:
        """A few names, if it is time."""
        if self._asked or (self._numbers is None and now < self._next):
            return
        for _ in range(SLICE):
            if self._numbers is None and not self._open(now):
                break
            number = self._take()
            if number is None:
                if not self._advance(now) or self._asked:
                    break  # what is gone must be gone before its other files are judged
            elif self._is_rubbish(number, now):
                self._asked += 1
                self._cleaner.ask(b"foop/%d" % number, self._answered)

    def _answered(self, gone: bool, now: int) -> None:
        self._asked -= 1

    def _is_rubbish(self, number: int, now: int) -> bool:
        """Is this one for qmail-clean?"""
        kind = WALK[self._place][0]
        if kind == MESS:
            return queuefiles.is_leftover(self._queue, number, now)
        if queuefiles.is_orphan(self._queue, kind, number, now):
            queuefiles.remove_orphan(self._queue, kind, number)
        return False

    def _open(self, now: int) -> bool:
        kind, name = WALK[self._place]
        try:
            self._numbers = queuefiles.numbers(self._queue, name)
            return True
        except OSError:
            if kind != MESS:
                self._numbers = iter(())  # what is missing has nothing to be removed
                return True
            self._log(logline.alert(b"unable to opendir %b, sleeping..." % name))
            self._next = now + logline.PATIENCE
            return False

    def _take(self) -> int | None:
        try:
            return next(self._numbers, None) if self._numbers else None
        except OSError:
            return None

    def _advance(self, now: int) -> bool:
        """On to the next directory; False at the end of the walk."""
        self._numbers = None
        self._place += 1
        if self._place < len(WALK):
            return True
        self._place = 0
        self._next = now + PERIOD
        return False
