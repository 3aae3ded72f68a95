"""Recipients in the best order for mailing lists.  rxdelay(1).

Reads what recipients printed on descriptor 0; prints average xdelay, tries and recipient on descriptor 1.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("rxdelay", __doc__)


def rxdelay(call: Call) -> int:
    """Until the end of the input."""
    from qmail.analog.core.tallies import rxdelay as best_order

    filters.put_lines(best_order(line.decode("latin-1") for line in filters.lines()))
    return 0


main = PROGRAM.entry(rxdelay)
