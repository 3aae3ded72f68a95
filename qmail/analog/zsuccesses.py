"""Reasons for success, as a report.  zsuccesses(1).

Reads what matchup wrote on descriptor 0; prints on descriptor 1 a table sorted by reason.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("zsuccesses", __doc__)


def zsuccesses(call: Call) -> int:
    """Until the end of the input."""
    return filters.report(call, "Reasons", "k", spaced=True)


main = PROGRAM.entry(zsuccesses)
