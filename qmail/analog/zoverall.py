"""Basic statistics.  zoverall(1).

Reads what matchup wrote on descriptor 0; prints on descriptor 1 totals and averages.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("zoverall", __doc__)


def zoverall(call: Call) -> int:
    """Until the end of the input."""
    from qmail.analog.core.headings import HEADINGS
    from qmail.analog.core.overall import Overall

    made = filters.tallied(call, Overall())
    filters.put(HEADINGS["zoverall"][0].encode())
    filters.put_lines(made.lines())
    return 0


main = PROGRAM.entry(zoverall)
