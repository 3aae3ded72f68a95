"""sendmail with a Date line in local time: predate and sendmail in one.  datemail(1), sendmail(8).

Exits as sendmail does."""

from __future__ import annotations

from qmail.core import instance
from qmail.core.programs import locate
from ucspi.core.command import Call, Program

PROGRAM = Program("datemail", __doc__, operands="[SENDMAIL'S ARGUMENT]...")


def datemail(call: Call) -> int:
    """The program."""
    home = instance.of(call.env)
    call.execute([locate(call, home, b"predate"), locate(call, home, b"sendmail"), *call.operands])


main = PROGRAM.entry(datemail)
