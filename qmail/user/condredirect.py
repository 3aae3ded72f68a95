"""Redirect a message to another address if a program says so, from a .qmail file.  condredirect(1).

    | condredirect newaddress program [arg ...]

If the program exits 0: queues DTLINE and the message, from SENDER, for the new address, and exits 99, so that no
further line of .qmail counts.  If it exits 111 or crashes: 111.  If it says anything else, or cannot be run: 0."""

from __future__ import annotations

import os

from qmail.core import child
from ucspi.core import errtext
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure

PROGRAM = Program(
    "condredirect",
    __doc__,
    usage="condredirect newaddress program [ arg ... ]",
    operands="NEWADDRESS PROGRAM [ARG]...",
    preload=("qmail.core.resend",),
)
REDIRECTED = 99  # to qmail-local: delivered, ignore what follows


def condredirect(call: Call) -> int:
    """The program."""
    if len(call.operands) < 2:
        raise UsageFailure
    address, *program = call.operands
    if not child.allows(call, program):
        return 0
    from qmail.core.resend import resend, variable  # the queue is most of what there is to import

    try:
        os.lseek(0, 0, os.SEEK_SET)  # the program may have read it
    except OSError as e:
        raise TemporaryFailure(f"unable to rewind: {errtext.text(e)}") from e
    sender = variable(call, b"SENDER")
    call.warn(b"qp %d" % resend(call, variable(call, b"DTLINE"), sender, [address]))
    return REDIRECTED


main = PROGRAM.entry(condredirect)
