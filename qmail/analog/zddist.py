"""How soon successful deliveries were done, as a report.  zddist(1).

Reads what matchup wrote on descriptor 0; prints on descriptor 1 a table of doneby, average and percentage.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("zddist", __doc__)


def zddist(call: Call) -> int:
    """Until the end of the input."""
    return filters.report(call, "Distribution")


main = PROGRAM.entry(zddist)
