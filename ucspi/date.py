"""Show what time it is on a host: the daytime service, port 13.  date@(1).

Exits 0; what tcpclient has to say stands on descriptor 2."""

from __future__ import annotations

from ucspi.core import netquery
from ucspi.core.command import Call, Program

PROGRAM = Program("date@", __doc__, operands="[HOST]")


def date(call: Call) -> int:
    """Ask and print."""
    return netquery.ask(netquery.operand(call.operands, 0, b"0"), b"13", b"", call.env, netquery.visible)


main = PROGRAM.entry(date)
