"""Print a forwarding table as the instructions that make it.  printforward(1).

Reads the cdb from descriptor 0, prints on 1 what setforward takes.  Exits 100 if it is no table, 111 if it cannot be
read or printed."""

from __future__ import annotations

from qmail.core import forwardtable
from qmail.core.forwardtable import ADDRESS, COMMAND, COMMANDS, IGNORED, LISTS, OWNER
from qmail.core.standardio import read_input, write_output
from ucspi.core.command import Call, Program, report
from ucspi.core.failure import Failure, PermanentFailure

PROGRAM = Program("printforward", __doc__)

_KINDS = (ADDRESS, *COMMANDS, *LISTS)
# The original compares signed characters with a blank: those above 127 are less.
_QUOTED = {byte: b"\\" + bytes((byte,)) for byte in (*range(33), *range(128, 256), *b",:;\\#")}

SAYS = "printmaillist"  # the name that the original's complaints begin with


def printforward(call: Call) -> int:
    """Print descriptor 0."""
    try:
        write_output(_instructions(read_input()))
    except Failure as e:
        report(SAYS, f"fatal: {e}")
        return e.exitcode
    return 0


def _instructions(database: bytes) -> bytes:
    text = bytearray()
    try:
        for key, data in forwardtable.records(database):
            text += _instruction(key, data)
    except forwardtable.Malformed as e:
        if isinstance(e, forwardtable.Truncated):
            write_output(bytes(text))
        raise PermanentFailure("bad database format") from e
    return bytes(text)


def _instruction(key: bytes, data: bytes) -> bytes:
    """One record.  Raises Malformed."""
    if key.startswith(OWNER):
        return b"%b: ?%b;\n" % (_quote(key[1:]), _quote(data))
    commands = forwardtable.unpack(data)
    if not key.startswith(COMMAND) or (data and not data.endswith(b"\0")):
        raise forwardtable.Malformed(key)
    for command in commands:
        if not command.startswith(_KINDS) or (command.startswith(ADDRESS) and len(command) >= IGNORED):
            raise forwardtable.Malformed(command)
    lines = b"".join(b", %b\n" % _quote(command) for command in commands)
    return b"%b:\n%b;\n" % (_quote(key[1:]), lines)


def _quote(text: bytes) -> bytes:
    return b"".join(_QUOTED.get(byte) or b"%c" % byte for byte in text)


main = PROGRAM.entry(printforward)
