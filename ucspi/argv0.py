"""Run a program under another name: its argv[0] is ours to choose.  argv0(1).

Exits 100 on bad usage, 111 when the program cannot be run."""

from __future__ import annotations

from ucspi.core import following
from ucspi.core.command import Call, Program
from ucspi.core.failure import UsageFailure

PROGRAM = Program("argv0", __doc__, usage="argv0 realname program [ arg ... ]", operands="REALNAME ZERO [ARGS]...")


def argv0(call: Call) -> int:
    """Become operand 0, called operand 1."""
    if len(call.operands) < 2:
        raise UsageFailure("")
    following.run_as(call, call.operands[0], call.operands[1:])


main = PROGRAM.entry(argv0)
