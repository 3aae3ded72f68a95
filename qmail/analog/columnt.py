"""Align the columns of a table.  columnt(1).

Reads a table on descriptor 0, all of it; prints it on descriptor 1 with aligned columns.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("columnt", __doc__)


def columnt(call: Call) -> int:
    """Until the end of the input."""
    from qmail.analog.core import columns

    filters.put(columns.align(b"".join(filters.blocks())))
    return 0


main = PROGRAM.entry(columnt)
