"""Forward a message to other addresses, from a .qmail file.  forward(1).

    | forward address ...

Queues DTLINE and the message on descriptor 0, from NEWSENDER, for all the addresses; prints the qp number.
Exits 0 when it is queued, 100 if the queue refuses it or a variable is missing, 111 if a later try may work."""

from __future__ import annotations

from qmail.core.resend import resend, variable
from ucspi.core.command import Call, Program

PROGRAM = Program("forward", __doc__, operands="[ADDRESS]...")


def forward(call: Call) -> int:
    """The program."""
    sender = variable(call, b"NEWSENDER")
    call.warn(b"qp %d" % resend(call, variable(call, b"DTLINE"), sender, call.operands))
    return 0


main = PROGRAM.entry(forward)
