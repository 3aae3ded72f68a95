"""Show who is logged in on a host: the systat service, port 11.  who@(1).

Exits 0; what tcpclient has to say stands on descriptor 2."""

from __future__ import annotations

from ucspi.core import netquery
from ucspi.core.command import Call, Program

PROGRAM = Program("who@", __doc__, operands="[HOST]")


def who(call: Call) -> int:
    """Ask and print."""
    return netquery.ask(netquery.operand(call.operands, 0, b"0"), b"11", b"", call.env, netquery.visible)


main = PROGRAM.entry(who)
