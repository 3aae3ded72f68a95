"""Ask a host about a user, or about all: the finger service, port 79.  finger@(1).

Exits 0; what tcpclient has to say stands on descriptor 2."""

from __future__ import annotations

from ucspi.core import netquery
from ucspi.core.command import Call, Program

PROGRAM = Program("finger@", __doc__, operands="[HOST [USER]]")


def finger(call: Call) -> int:
    """Ask and print."""
    host, user = netquery.operand(call.operands, 0, b"0"), netquery.operand(call.operands, 1, b"")
    return netquery.ask(host, b"79", user + b"\n", call.env, netquery.visible)


main = PROGRAM.entry(finger)
