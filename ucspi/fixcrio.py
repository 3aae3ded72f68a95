"""Run a program with a CR before each LF, in both directions.  fixcrio(1).

A CR that is there already is not doubled.  Exits as the program; 100 on bad usage, 111 when it cannot be run."""

from __future__ import annotations

from ucspi.core import shuttle
from ucspi.core.command import Call, Program
from ucspi.core.failure import UsageFailure
from ucspi.core.newlines import Fixer

PROGRAM = Program("fixcrio", __doc__, usage="fixcrio program [ arg ... ]", operands="PROGRAM [ARGS]...")


def fixcrio(call: Call) -> int:
    """Become the program."""
    if not call.operands:
        raise UsageFailure("")
    shuttle.run(call, Fixer(), Fixer())


main = PROGRAM.entry(fixcrio)
