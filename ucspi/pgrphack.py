"""Run a program in a session and process group of its own.  pgrphack(8).

Exits 100 on bad usage, 111 when the program cannot be run."""

from __future__ import annotations

import os

from ucspi.core import following
from ucspi.core.command import Call, Program
from ucspi.core.failure import UsageFailure

PROGRAM = Program("pgrphack", __doc__, usage="pgrphack child", operands="PROGRAM [ARGS]...")


def pgrphack(call: Call) -> int:
    """Leave the group and become the program."""
    if not call.operands:
        raise UsageFailure("")
    try:
        os.setsid()
    except OSError:
        pass  # a group leader already, which is all that is wanted
    following.run(call, call.operands)


main = PROGRAM.entry(pgrphack)
