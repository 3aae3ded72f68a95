"""Read the mail of a maildir with elm: maildir2mbox, and then elm.  elq(1).

Exits as elm does, or as maildir2mbox if that fails; 111 if elm cannot be run."""

from __future__ import annotations

from qmail.core.mailreader import read_mail
from ucspi.core.command import Call, Program

PROGRAM = Program("elq", __doc__, operands="[ARGUMENT OF elm]...")


def elq(call: Call) -> int:
    """The program."""
    return read_mail(call, b"elm")


main = PROGRAM.entry(elq)
