"""Turn forwarding instructions into a table for fastforward.  setforward(1).

    target: command, command ... ;

Reads descriptor 0, writes TMP, syncs it, and moves it to CDB.  Exits 100 for bad instructions, 111 if a file cannot be
read or written; CDB is then as it was."""

from __future__ import annotations

from qmail.core import database, forwardtable
from qmail.core.forwardtable import ADDRESS, COMMAND, COMMANDS, LISTS, LONGEST, OWNER
from qmail.core.standardio import read_input
from ucspi.core.command import Call, Program
from ucspi.core.failure import PermanentFailure, UsageFailure
from ucspi.core.replacement import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Program("setforward", __doc__, usage="setforward data.cdb data.tmp", operands="CDB TMP", preload=("cdbx",))

# An escaped byte; a comment; blanks; a mark; anything else.  What matches none of them is a backslash at the end.
_PIECE = (
    rb"\\(?P<escaped>(?s:.))|#(?P<comment>[^\n]*\n?)|(?P<blank>[ \t\n]+)|(?P<mark>[:,;])|(?P<text>[^\\# \t\n:,;]+)|\\\Z"
)


def setforward(call: Call) -> int:
    """Compile descriptor 0."""
    if len(call.operands) < 2:
        raise UsageFailure
    cdb, temporary = call.operands[:2]
    replace(cdb, temporary, lambda fd: database.write(fd, records(read_input())))
    return 0


def records(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The records that instructions make.  Raises PermanentFailure."""
    import re  # for a text as long as it likes, read at C speed

    word = bytearray()
    target: bytes | None = None
    commands: list[bytes] = []
    for piece in re.finditer(_PIECE, text):
        if piece.lastgroup in ("escaped", "text"):
            taken = piece[piece.lastgroup]
            if b"\0" in taken:
                raise PermanentFailure("NUL bytes are not permitted")
            word += taken
        elif piece.lastgroup == "mark":
            mark, said = piece["mark"], bytes(word)
            word.clear()
            if mark == b":":
                if target is not None:
                    raise PermanentFailure("double colons are not permitted")
                target = said.lower()
                continue
            if target is None:
                raise PermanentFailure("commas are not permitted before colons")
            if said.startswith(OWNER):
                yield OWNER + target, said[1:]
            elif said:
                commands.append(_command(said))
            if mark == b";":
                if commands:
                    yield COMMAND + target, forwardtable.pack(commands)
                target, commands = None, []
    if target is not None or word:
        raise PermanentFailure("final instruction must end with semicolon")


def _command(word: bytes) -> bytes:
    if word.startswith((*COMMANDS, *LISTS)):
        return word
    command = word if word.startswith(ADDRESS) else ADDRESS + word
    if len(command) > LONGEST:
        raise PermanentFailure(f"addresses over {LONGEST} bytes are not permitted")
    return command


main = PROGRAM.entry(setforward)
