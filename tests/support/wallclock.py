"""A clock that a test sets, or lets run ahead, while the programs that go by it are running.

`install`, called in a fork, gives it to that process and to all forks of it: time.time and time.monotonic, polls that
end when it says so, and the times of files.  The kernel writes those by its own clock, so they are shown by what this
one said at that moment: a file made while it was an hour ahead stays an hour ahead when it is set back."""

from __future__ import annotations

import bisect
import mmap
import os
import select
import time
from typing import Any

from qmail.core.clock import Clock

PASSED, POLLS, CHANGES, FIRST = 0, 1, 2, 3
SLICE = 0.05  # seconds after which a poll looks at the clock again
DAY, STEADY, STAT, FSTAT, POLL = time.time, time.monotonic, os.stat, os.fstat, select.poll


class WallClock:
    """In memory that all forks share."""

    def __init__(self) -> None:
        # Seconds that have been let pass; polls begun, the only thing that the processes write; changes; and for each
        # of these the kernel's time of it, and what this clock is ahead by from then on.
        self._shared = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")
        self._shared[CHANGES] = 1

    # The test

    def set(self, seconds: float) -> None:
        """Somebody sets it: forward, or back (below 0)."""
        at = FIRST + 2 * int(self._shared[CHANGES])
        self._shared[at], self._shared[at + 1] = DAY(), self._shared[at - 1] + seconds
        self._shared[CHANGES] += 1

    def let_pass(self, seconds: float) -> None:
        """Time passes, in a moment."""
        self._shared[PASSED] += seconds
        self.set(seconds)

    @property
    def polls(self) -> float:
        """How often anybody has begun to wait.  Grows no more when all do, and without end when somebody spins."""
        return self._shared[POLLS]

    # The processes

    def install(self) -> None:
        """This is the clock of this process from now on."""
        time.time, time.monotonic = self.day, self.steady
        Clock.__init__.__defaults__ = (self.day, self.steady)
        os.stat = lambda *args, **more: _Stat(STAT(*args, **more), self)
        os.fstat = lambda fd: _Stat(FSTAT(fd), self)
        select.poll = lambda: _Poll(self)

    def written(self, kernel: float) -> float:
        """What it said at that time of the kernel's clock."""
        changes = self._changes()
        return kernel + changes[bisect.bisect(changes, (kernel, float("inf"))) - 1][1]

    def begin_poll(self) -> None:
        self._shared[POLLS] += 1  # may miss one of two at once, but not all of many

    def steady(self) -> float:
        return STEADY() + self._shared[PASSED]

    def day(self) -> float:
        return DAY() + self._changes()[-1][1]

    def _changes(self) -> list[tuple[float, float]]:
        numbers = iter(self._shared[FIRST : FIRST + 2 * int(self._shared[CHANGES])])
        return list(zip(numbers, numbers, strict=True))


class _Stat:
    """What stat(2) says, but for the times."""

    def __init__(self, real: os.stat_result, clock: WallClock) -> None:
        self._real = real
        self.st_mtime, self.st_atime = clock.written(real.st_mtime), clock.written(real.st_atime)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Poll:
    """select.poll, whose time-outs go by the clock."""

    def __init__(self, clock: WallClock) -> None:
        self._real, self._clock = POLL(), clock
        self.register, self.unregister = self._real.register, self._real.unregister

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        self._clock.begin_poll()
        until = float("inf") if timeout is None or timeout < 0 else self._clock.steady() + timeout / 1000
        while True:
            left = max(0.0, until - self._clock.steady())
            ready = self._real.poll(1000 * min(left, SLICE))
            if ready or left <= SLICE:
                return ready
