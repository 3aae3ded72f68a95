"""Bounce a message with a text, always or if a program says so, from a .qmail file.  bouncesaying(1).

    | bouncesaying error [program [arg ...]]

Prints the error on descriptor 2 and exits 100 if there is no program or the program exits 0.  Exits 111 if it exits
111 or crashes, and 0, with nothing printed, if it says anything else or cannot be run."""

from __future__ import annotations

from qmail.core import child
from ucspi.core import streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import UsageFailure

PROGRAM = Program(
    "bouncesaying",
    __doc__,
    usage="bouncesaying error [ program [ arg ... ] ]",
    operands="ERROR [PROGRAM [ARG]...]",
)


def bouncesaying(call: Call) -> int:
    """The program."""
    if not call.operands:
        raise UsageFailure
    error, *program = call.operands
    if program and not child.allows(call, program):
        return 0
    streams.complain(error + b"\n")  # no name before it: the sender is going to read it
    return 100


main = PROGRAM.entry(bouncesaying)
