"""Put a TAI64N label before each line.  tai64n(8).

Copies descriptor 0 to 1; exits 0 at the end of input, 111 if it cannot read or write."""

from __future__ import annotations

from ucspi.core import streams, tai64
from ucspi.core.command import Call, Program

PROGRAM = Program("tai64n", __doc__)


def tai64n(call: Call) -> int:
    """Copy until the end.  All lines that come together come at the same time."""
    between_lines = True
    try:
        for block in streams.blocks(0):
            label = tai64.now() + b" "
            out = block[:-1].replace(b"\n", b"\n" + label) + block[-1:]
            streams.write_all(1, label + out if between_lines else out)
            between_lines = block.endswith(b"\n")
    except OSError:
        return 111
    return 0


main = PROGRAM.entry(tai64n)
