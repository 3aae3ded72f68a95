"""Print what a server sends: by default the quotation of the day, port 17.  tcpcat(1).

Exits 111 if there is no connection."""

from __future__ import annotations

from ucspi.core import following, netquery
from ucspi.core.command import Call, Program

PROGRAM = Program("tcpcat", __doc__, operands="[HOST [PORT]]")


def tcpcat(call: Call) -> int:
    """Become tcpclient."""
    host, port = netquery.operand(call.operands, 0, b"0"), netquery.operand(call.operands, 1, b"17")
    following.run(call, [b"tcpclient", b"-RHl0", b"--", host, port, b"sh", b"-c", b"exec cat <&6"])


main = PROGRAM.entry(tcpcat)
