"""Print a binary list of addresses as text.  printmaillist(1).

Reads descriptor 0, prints on 1 what setmaillist takes.  Exits 100 if it is no list, 111 if it cannot be read or
printed."""

from __future__ import annotations

from qmail.core import forwardtable, maillist
from qmail.core.standardio import read_input, write_output
from ucspi.core.command import Call, Program
from ucspi.core.failure import PermanentFailure

PROGRAM = Program("printmaillist", __doc__)


def printmaillist(call: Call) -> int:
    """Print descriptor 0."""
    text = bytearray()
    try:
        for entry in maillist.entries(read_input()):
            text += entry + b"\n"
    except forwardtable.Malformed as e:
        if isinstance(e, forwardtable.Truncated):
            write_output(bytes(text))
        raise PermanentFailure("bad mailing list format") from e
    write_output(bytes(text))
    return 0


main = PROGRAM.entry(printmaillist)
