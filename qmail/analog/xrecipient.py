"""Select the deliveries to a recipient.  xrecipient(1).

    xrecipient CHANNEL.ADDRESS

Reads what matchup wrote on descriptor 0; copies the deliveries to this recipient to descriptor 1, as in
local.bela@example.org, in lower case.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("xrecipient", __doc__, usage="xrecipient channel.address", operands="CHANNEL.ADDRESS")


def xrecipient(call: Call) -> int:
    """Until the end of the input."""
    wanted = call.operands[0] if call.operands else b""
    return filters.select(lambda fields: fields[0].startswith(b"d") and fields[7] == wanted)


main = PROGRAM.entry(xrecipient)
