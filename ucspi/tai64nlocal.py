"""Show TAI64N labels at the start of lines as local time.  tai64nlocal(8).

Copies descriptor 0 to 1; a line without label, or with one that is no time, passes unchanged.
Exits 0 at the end of input, 111 if it cannot read or write."""

from __future__ import annotations

import os
import time

from ucspi.core import streams, tai64
from ucspi.core.command import Call, Program

PROGRAM = Program("tai64nlocal", __doc__)
HEX = b"0123456789abcdef"
LONGEST = 65536  # digits waited for; a longer "label" is no label


class Localizer:
    """Blocks in, blocks out."""

    __slots__ = ("_inside", "_label")

    def __init__(self) -> None:
        self._inside = False  # behind a line's label
        self._label = b""  # the beginning of a label whose end has not come

    def __call__(self, block: bytes) -> bytes:
        """The next block."""
        block, self._label = self._label + block, b""
        out: list[bytes] = []
        lines = block.split(b"\n")
        last = len(lines) - 1
        for i, line in enumerate(lines):
            end = b"\n" if i < last else b""
            if not self._inside and line.startswith(b"@"):
                rest = line[1:].lstrip(HEX)
                if not rest and not end and len(line) < LONGEST:
                    self._label = line
                    break
                shown = tai64.local(line[1 : len(line) - len(rest)])
                line = line if shown is None else shown + rest
            out += (line, end)
            self._inside = not end and (self._inside or bool(line))
        return b"".join(out)


def tai64nlocal(call: Call) -> int:
    """Copy until the end; a label that the end cuts off is dropped."""
    zone = call.env.get(b"TZ")
    if zone is not None and os.environb.get(b"TZ") != zone:  # the C library reads the process's own variable
        os.environb[b"TZ"] = zone
        time.tzset()
    localize = Localizer()
    try:
        for block in streams.blocks(0):
            streams.write_all(1, localize(block))
    except OSError:
        return 111
    return 0


main = PROGRAM.entry(tai64nlocal)
