"""Run a program and write what goes in and out to descriptor 2.  recordio(1).

Lines are `PID < data` towards the program and `PID > data` from it, with a space at the end of a line and `+` where a
piece does not end one.  Exits as the program; 100 on bad usage, 111 when it cannot be run."""

from __future__ import annotations

import os

from ucspi.core import shuttle, streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import UsageFailure

PROGRAM = Program("recordio", __doc__, usage="recordio program [ arg ... ]", operands="PROGRAM [ARGS]...")
PIECE = 256  # what the original reads at once, and so the longest piece of a line in the log
TOGETHER = 4096  # lines written at once: PIPE_BUF, so that a pipe's reader never sees them mixed with others


def record(prefix: bytes, block: bytes) -> list[bytes]:
    """The log of one block, in parts of whole lines; b"" is the end."""
    if not block:
        return [prefix + b"[EOF]\n"]
    parts: list[bytes] = []
    end_of_line = b" \n" + prefix
    for at in range(0, len(block), PIECE):
        piece = block[at : at + PIECE]
        text = piece.replace(b"\n", end_of_line)
        if piece.endswith(b"\n"):
            parts.append(prefix + text[: -len(prefix)])
        else:
            parts.append(prefix + text + b"+\n")
    return parts


def together(parts: list[bytes]) -> list[bytes]:
    """Join parts to writes of at most TOGETHER bytes; longer ones (a part of many short lines) are cut at a line."""
    writes: list[bytes] = []
    current = b""
    for part in parts:
        while len(part) > TOGETHER:
            cut = part.rfind(b"\n", 0, TOGETHER) + 1
            writes += [current, part[:cut]] if current else [part[:cut]]
            current, part = b"", part[cut:]
        if len(current) + len(part) > TOGETHER:
            writes.append(current)
            current = b""
        current += part
    return [*writes, current] if current else writes


def recordio(call: Call) -> int:
    """Become the program."""
    if not call.operands:
        raise UsageFailure("")
    pid = os.getpid()

    def log(sign: bytes, block: bytes) -> bytes:
        for text in together(record(b"%d %b " % (pid, sign), block)):
            streams.complain(text)
        return block

    shuttle.run(call, lambda block: log(b"<", block), lambda block: log(b">", block))


main = PROGRAM.entry(recordio)
