"""Run a program while holding a lock on a file.  setlock(8).

The lock is flock(2)'s and goes with the descriptor, which the program and all its children inherit.
Exits 100 on bad usage, 111 if the file cannot be locked (with -x: 0) or the program cannot be run."""

from __future__ import annotations

import fcntl
import os

from ucspi.core import errtext, following
from ucspi.core.command import Call, Flag, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure

PROGRAM = Program(
    "setlock",
    __doc__,
    options=(
        Flag("n", "Do not wait for the lock."),
        Flag("N", "Wait for the lock (default)."),
        Flag("x", "If the file cannot be locked, exit 0 and say nothing."),
        Flag("X", "If the file cannot be locked, say so and exit 111 (default)."),
    ),
    usage="setlock [ -nNxX ] file program [ arg ... ]",
    operands="FILE PROGRAM [ARGS]...",
)


def setlock(call: Call) -> int:
    """Lock, and become the program with the descriptor open."""
    if len(call.operands) < 2:
        raise UsageFailure("")
    file = call.operands[0]
    how = fcntl.LOCK_EX | (fcntl.LOCK_NB if call.last("nN") == "n" else 0)
    doing = "open"
    try:
        fd = os.open(file, os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_CREAT, 0o600)
        doing = "lock"
        fcntl.flock(fd, how)
    except OSError as e:
        if call.last("xX") == "x":
            return 0
        raise TemporaryFailure(f"unable to {doing} {os.fsdecode(file)}: {errtext.text(e)}") from e
    os.set_inheritable(fd, True)
    following.run(call, call.operands[1:])


main = PROGRAM.entry(setlock)
