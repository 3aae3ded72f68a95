"""Stay until a program that puts itself into the background is gone.  fghack(8).

The program gets many copies of a pipe's end, and is taken for gone when the last is closed.  Exits with the exit code
of the program started, not of what it left behind; 100 on bad usage, 111 if it crashed or cannot be run."""

from __future__ import annotations

import errno
import os

from ucspi.core import errtext, following, streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure

PROGRAM = Program("fghack", __doc__, usage="fghack child", operands="PROGRAM [ARGS]...")
COPIES = 30  # a daemon that closes the first twenty descriptors or so still keeps one


def fghack(call: Call) -> int:
    """Run the program, wait for the pipe, then for the program."""
    if not call.operands:
        raise UsageFailure("")
    try:
        reading, writing = os.pipe()
    except OSError as e:
        raise TemporaryFailure(f"unable to create pipe: {errtext.text(e)}") from e
    held = [writing]
    try:
        for _ in range(COPIES):
            try:
                held.append(os.dup(writing))
            except OSError:
                break  # fewer, then
        for fd in held:
            os.set_inheritable(fd, True)
        pid = call.spawn(call.operands)
    except OSError as e:
        if e.errno == errno.EAGAIN:  # no exec says so
            raise TemporaryFailure(f"unable to fork: {errtext.text(e)}") from e
        raise following.cannot_run(call.operands[0], e) from e
    finally:
        for fd in held:
            os.close(fd)
    for _ in streams.blocks(reading):
        pass
    os.close(reading)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        raise TemporaryFailure("child crashed")
    return os.waitstatus_to_exitcode(status)


main = PROGRAM.entry(fghack)
