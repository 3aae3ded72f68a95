"""The time of day, and whether somebody has set it.

What waits for a time waits too long when the clock is set back, and what is new looks old when it is set forward; by
how much, only a clock that nobody can set can tell."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SLACK = 30  # seconds that a clock may be slewed by, or a process be held up, between two looks


class Clock:
    """Both clocks, looked at together."""

    def __init__(self, day: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._day, self._steady = day, steady
        self._offset = day() - steady()

    def now(self) -> int:
        """The time of day."""
        return int(self._day())

    def jump(self) -> int:
        """Seconds that it has been set by since the last call, below 0 if it was set back; 0: it has not been set.

        A machine that was suspended looks as if its clock had been set forward."""
        offset = self._day() - self._steady()
        jump, self._offset = offset - self._offset, offset
        return int(jump) if abs(jump) > SLACK else 0
