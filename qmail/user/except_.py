"""Turn a program's answer round: fail if it succeeds.  except(1).

    except program [arg ...]

Exits 100 if the program exits 0, 111 if it exits 111 or crashes, and 0 if it says anything else or cannot be run."""

from __future__ import annotations

from qmail.core import child
from ucspi.core.command import Call, Program
from ucspi.core.failure import UsageFailure

PROGRAM = Program("except", __doc__, usage="except program [ arg ... ]", operands="PROGRAM [ARG]...")


def except_(call: Call) -> int:
    """The program."""
    if not call.operands:
        raise UsageFailure
    return 100 if child.allows(call, call.operands) else 0


main = PROGRAM.entry(except_)
