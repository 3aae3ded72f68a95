"""Reasons for deferral, added up.  deferrals(1).

Reads what matchup wrote on descriptor 0; prints on descriptor 1 a line for each:
deliveries, xdelay, reason.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("deferrals", __doc__)


def deferrals(call: Call) -> int:
    """Until the end of the input."""
    return filters.plain(call, "Reasons", "z")


main = PROGRAM.entry(deferrals)
