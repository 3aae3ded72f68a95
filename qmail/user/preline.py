"""Put the lines that qmail-local knows before a message, for a program that wants them there.  preline(1).

    | preline [-frdFRD] command [arg ...]

Runs the command with UFLINE (From_), RPLINE (Return-Path), DTLINE (Delivered-To) and the message on descriptor 0 as
its input.  Exits as the command does; 111 if it crashes or does not read all, 100 if there is no such command."""

from __future__ import annotations

import errno
import os

from qmail.core import child
from ucspi.core import errtext, streams
from ucspi.core.command import Call, Flag, Program
from ucspi.core.failure import PermanentFailure, TemporaryFailure, UsageFailure

PROGRAM = Program(
    "preline",
    __doc__,
    options=(
        Flag("f", "No From_ line."),
        Flag("r", "No Return-Path line."),
        Flag("d", "No Delivered-To line."),
        Flag("F", "From_ line (default)."),
        Flag("R", "Return-Path line (default)."),
        Flag("D", "Delivered-To line (default)."),
    ),
    usage="preline cmd [ arg ... ]",
    operands="COMMAND [ARG]...",
)


def preline(call: Call) -> int:
    """The program."""
    try:
        lines = [(b"fF", call.env[b"UFLINE"]), (b"rR", call.env[b"RPLINE"]), (b"dD", call.env[b"DTLINE"])]
    except KeyError:
        raise UsageFailure from None
    if not call.operands:
        raise UsageFailure
    prefix = b"".join(line for letters, line in lines if call.last(letters.decode()) not in ("f", "r", "d"))
    try:
        command = child.Fed(call, call.operands)
    except OSError as e:
        if e.errno in (errno.EAGAIN, errno.ENOMEM):
            raise TemporaryFailure(f"unable to fork: {errtext.text(e)}") from e
        failure = TemporaryFailure if errtext.is_temporary(e) else PermanentFailure
        raise failure(f"unable to run {os.fsdecode(call.operands[0])}: {errtext.text(e)}") from e
    try:
        command.write([prefix])
        command.write(streams.blocks(0))
    except OSError as e:
        raise TemporaryFailure(f"unable to copy input: {errtext.text(e)}") from e
    return command.finish()


main = PROGRAM.entry(preline)
