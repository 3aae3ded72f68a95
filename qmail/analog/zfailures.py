"""Reasons for failure, as a report.  zfailures(1).

Reads what matchup wrote on descriptor 0; prints on descriptor 1 a table sorted by reason.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("zfailures", __doc__)


def zfailures(call: Call) -> int:
    """Until the end of the input."""
    return filters.report(call, "Reasons", "d", spaced=True)


main = PROGRAM.entry(zfailures)
