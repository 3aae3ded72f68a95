"""Recipients in the best order for mailing lists, as a report.  zrxdelay(1).

Reads what matchup wrote on descriptor 0; prints on descriptor 1 a table sorted by average xdelay.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("zrxdelay", __doc__)


def zrxdelay(call: Call) -> int:
    """Until the end of the input."""
    from qmail.analog.core.tallies import Recipients, rxdelay

    filters.table(call, rxdelay(filters.tallied(call, Recipients()).lines()))
    return 0


main = PROGRAM.entry(zrxdelay)
