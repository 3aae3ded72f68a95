"""Talk to a server by hand: tcpclient with mconnect-io behind it.  mconnect(1).

Exits 111 if there is no connection."""

from __future__ import annotations

from ucspi.core import following, netquery
from ucspi.core.command import Call, Program

PROGRAM = Program("mconnect", __doc__, operands="[HOST [PORT]]")


def mconnect(call: Call) -> int:
    """Become tcpclient."""
    host, port = netquery.operand(call.operands, 0, b"0"), netquery.operand(call.operands, 1, b"25")
    following.run(call, [b"tcpclient", b"-RHl0", b"--", host, port, b"mconnect-io"])


main = PROGRAM.entry(mconnect)
