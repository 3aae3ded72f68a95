"""Turn a text list of addresses into a binary list for fastforward.  setmaillist(1).

Reads descriptor 0: an address or the name of another binary list (from . or /) a line.  Writes TMP, syncs it, and moves
it to LIST.  Exits 111 if something is wrong; LIST is then as it was."""

from __future__ import annotations

import os

from qmail.core.forwardtable import ADDRESS, LISTS, LONGEST
from qmail.core.standardio import read_input
from ucspi.core import streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure
from ucspi.core.replacement import replace

PROGRAM = Program("setmaillist", __doc__, usage="setmaillist list.bin list.tmp", operands="LIST TMP")


def setmaillist(call: Call) -> int:
    """Compile descriptor 0."""
    if len(call.operands) < 2:
        raise UsageFailure
    name, temporary = call.operands[:2]
    os.umask(0o033)
    replace(name, temporary, lambda fd: streams.write_all(fd, packed(read_input())))
    return 0


def packed(text: bytes) -> bytes:
    """The binary list.  Raises TemporaryFailure."""
    lines = (_without_nul(line).rstrip(b" \t") for line in text.split(b"\n"))
    return b"".join(_entry(line) + b"\0" for line in lines if line and not line.startswith(b"#"))


def _without_nul(line: bytes) -> bytes:
    if b"\0" in line:
        raise TemporaryFailure("NUL in input")
    return line


def _entry(line: bytes) -> bytes:
    if line.startswith(LISTS):
        return line
    entry = line if line.startswith(ADDRESS) else ADDRESS + line
    if len(entry) > len(ADDRESS) + LONGEST:
        raise TemporaryFailure(f"addresses must be under {LONGEST} bytes")
    return entry


main = PROGRAM.entry(setmaillist)
