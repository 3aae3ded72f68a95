"""Select the lines of a sender.  xsender(1).

    xsender ADDRESS

Reads what matchup wrote on descriptor 0; copies what is about this sender to descriptor 1. ADDRESS is in lower case,
without brackets; an empty one selects bounces.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("xsender", __doc__, usage="xsender address", operands="ADDRESS")


def xsender(call: Call) -> int:
    """Until the end of the input."""
    wanted = b"<%b>" % (call.operands[0] if call.operands else b"")
    return filters.select(lambda fields: fields[6 if fields[0].startswith(b"d") else 7] == wanted)


main = PROGRAM.entry(xsender)
