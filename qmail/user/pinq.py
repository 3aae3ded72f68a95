"""Read the mail of a maildir with pine: maildir2mbox, and then pine.  pinq(1).

Exits as pine does, or as maildir2mbox if that fails; 111 if pine cannot be run."""

from __future__ import annotations

from qmail.core.mailreader import read_mail
from ucspi.core.command import Call, Program

PROGRAM = Program("pinq", __doc__, operands="[ARGUMENT OF pine]...")


def pinq(call: Call) -> int:
    """The program."""
    return read_mail(call, b"pine")


main = PROGRAM.entry(pinq)
