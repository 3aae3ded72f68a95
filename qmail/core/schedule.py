"""When a message is tried next.  qmail-send(8).

A message that is t seconds old is tried again when sqrt(t) has grown by a fixed step: soon at first, ever more seldom
later, and the shape needs no table.  Attempts of a new message, in seconds after its birth:

    local   0 100 400 900 1600 ...        remote  0 400 1600 3600 6400 ..."""

from __future__ import annotations

import heapq
import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

SKIP = (10, 20)  # the step for local and remote, in square roots of seconds
AHEAD = 60  # seconds that the clocks of a machine and its file server may differ
SYSFAIL = 123  # seconds until the next try after trouble of our own


def next_attempt(birth: int, now: int, channel: int) -> int:
    """When to try again if the pass that starts now leaves something undone.

    A birth that is far ahead (the clock was, and has been set back) is taken for now."""
    if birth > now + AHEAD:
        birth = now
    return birth + (math.isqrt(max(0, now - birth)) + SKIP[channel]) ** 2


class Schedule:
    """A priority queue of (time, message number), the earliest first.

    Tuples of two numbers and nothing else: a hundred thousand waiting messages are a dozen megabytes."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, when: int, number: int) -> None:
        """Note that message `number` is due at `when`."""
        heapq.heappush(self._heap, (when, number))

    def due(self, now: int) -> bool:
        """Is there a message whose time has come?"""
        return bool(self._heap) and self._heap[0][0] <= now

    def earliest(self, otherwise: int) -> int:
        """The time of the first message, or `otherwise` if that is earlier or there is none."""
        return min(self._heap[0][0], otherwise) if self._heap else otherwise

    def pop(self) -> tuple[int, int]:
        """Take out the earliest (time, number).  There must be one."""
        return heapq.heappop(self._heap)

    def bring_forward(self, numbers: Container[int], now: int) -> None:
        """Make these messages due, as far as they are here."""
        self._heap = [(min(when, now) if number in numbers else when, number) for when, number in self._heap]
        heapq.heapify(self._heap)

    def shift(self, seconds: int) -> None:
        """Move all times: the clock has been moved."""
        self._heap = [(when + seconds, number) for when, number in self._heap]  # a heap as before

    def drop(self, numbers: Container[int]) -> None:
        """Forget these messages."""
        self._heap = [(when, number) for when, number in self._heap if number not in numbers]
        heapq.heapify(self._heap)

    def all_now(self, now: int) -> None:
        """Make everything due (ALRM).  What is already overdue keeps its place before the others."""
        # The result of a monotone change of the keys is a heap only up to ties, which the numbers then break.
        self._heap = [(min(when, now), number) for when, number in self._heap]
        heapq.heapify(self._heap)
