"""Read the mail of a maildir with Mail: maildir2mbox, and then Mail.  qail(1).

Exits as Mail does, or as maildir2mbox if that fails; 111 if Mail cannot be run."""

from __future__ import annotations

from qmail.core.mailreader import read_mail
from ucspi.core.command import Call, Program

PROGRAM = Program("qail", __doc__, operands="[ARGUMENT OF Mail]...")


def qail(call: Call) -> int:
    """The program."""
    return read_mail(call, b"Mail")


main = PROGRAM.entry(qail)
