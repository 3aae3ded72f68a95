"""Put a CR before each LF.  addcr(1).

Copies descriptor 0 to 1; exits 0 at the end of input, 111 if it cannot read or write."""

from __future__ import annotations

from ucspi.core import newlines, streams
from ucspi.core.command import Call, Program

PROGRAM = Program("addcr", __doc__)


def addcr(call: Call) -> int:
    """Copy until the end."""
    try:
        for block in streams.blocks(0):
            streams.write_all(1, newlines.add(block))
    except OSError:
        return 111  # the original says nothing
    return 0


main = PROGRAM.entry(addcr)
