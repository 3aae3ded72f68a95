"""zoverall's figures: of the messages that ended, and of every delivery attempt in the log."""

from __future__ import annotations

from collections import deque
from itertools import accumulate, compress
from operator import mul, sub

from qmail.analog.core.awk import show
from qmail.analog.core.tallies import Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from qmail.analog.core.records import Column


class Overall(Tally):
    """Totals; times in seconds."""

    deliveries = (2, 3, 4, 5)
    messages = (2, 3, 4, 5, 6, 7)

    def __init__(self) -> None:
        self.completed = self.recipients = self.tries = self.bytes = self.weighted = 0
        self.qtime = self.ddelay = self.xdelay = 0.0
        self.attempts = self.success = self.failure = 0
        self.first, self.last = float("inf"), float("-inf")

    def receive(self, deliveries: list[Column], messages: list[Column]) -> None:
        self._deliveries(*deliveries)
        self._messages(*messages)

    def _deliveries(self, kinds: Column, births: Column, starts: Column, ends: Column) -> None:
        self.xdelay = _added(self.xdelay, map(sub, ends, starts))
        delays: Iterable[float] = map(sub, ends, births)
        if kinds.count("k") < len(kinds):
            delays = compress(delays, map("k".__eq__, kinds))
        self.ddelay = _added(self.ddelay, delays)
        self.attempts += len(kinds)
        self.success += kinds.count("k")
        self.failure += kinds.count("d")
        self._span(births, ends)

    def _messages(self, births: Column, ends: Column, sizes: Column, k: Column, d: Column, z: Column) -> None:
        self.qtime = _added(self.qtime, map(sub, ends, births))
        self.completed += len(births)
        self.bytes += sum(sizes)
        self.weighted += sum(map(mul, sizes, k))
        recipients = sum(k) + sum(d)
        self.recipients += recipients
        self.tries += recipients + sum(z)
        self._span(births, ends)

    def _span(self, births: Column, ends: Column) -> None:
        self.first = min(self.first, min(births, default=self.first))
        self.last = max(self.last, max(ends, default=self.last))

    @property
    def deferral(self) -> int:
        """Attempts that neither succeeded nor failed."""
        return self.attempts - self.success - self.failure

    @property
    def span(self) -> float:
        """Seconds from the first to the last; 0 if there is nothing, or nothing but one moment."""
        return max(self.last - self.first, 0.0)

    def lines(self) -> list[str]:
        return [*self._of_messages(), "", *self._of_deliveries()]

    def _of_messages(self) -> list[str]:
        n = self.completed
        lines = [f"Completed messages: {n}"]
        if n:
            lines += [
                f"Recipients for completed messages: {self.recipients}",
                f"Total delivery attempts for completed messages: {self.tries}",
                f"Average delivery attempts per completed message: {show(self.tries / n)}",
                f"Bytes in completed messages: {self.bytes}",
                f"Bytes weighted by success: {self.weighted}",
                f"Average message qtime (s): {show(self.qtime / n)}",
            ]
        return lines

    def _of_deliveries(self) -> list[str]:
        n = self.attempts
        lines = [f"Total delivery attempts: {n}"]
        if n:
            lines += [f"  success: {self.success}", f"  failure: {self.failure}", f"  deferral: {self.deferral}"]
            lines.append(f"Total ddelay (s): {self.ddelay:.6f}")
            if self.success:
                lines.append(f"Average ddelay per success (s): {self.ddelay / self.success:.6f}")
            lines.append(f"Total xdelay (s): {self.xdelay:.6f}")
            lines.append(f"Average xdelay per delivery attempt (s): {self.xdelay / n:.6f}")
            if self.span > 0:
                lines.append(f"Time span (days): {show(self.span / 86400)}")
                lines.append(f"Average concurrency: {show(self.xdelay / self.span)}")
        return lines


def _added(total: float, more: Iterable[float]) -> float:
    """One after the other, as awk adds them; sum() keeps what that loses."""
    return deque(accumulate(more, initial=total), maxlen=1)[0]
