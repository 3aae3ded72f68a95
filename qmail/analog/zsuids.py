"""Sender uids, as a report.  zsuids(1).

Reads what matchup wrote on descriptor 0; prints on descriptor 1 a table sorted by uid.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("zsuids", __doc__)


def zsuids(call: Call) -> int:
    """Until the end of the input."""
    return filters.report(call, "Uids")


main = PROGRAM.entry(zsuids)
