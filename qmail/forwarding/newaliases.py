"""Turn /etc/aliases into a table for fastforward.  newaliases(1).

Writes /etc/aliases.tmp, syncs it, and moves it to /etc/aliases.cdb.  Exits 111 if something is wrong (100 for an
address over 800 bytes); /etc/aliases.cdb is then as it was."""

from __future__ import annotations

import os

from qmail.core import aliases, database, forwardtable
from qmail.core.forwardtable import ADDRESS, COMMAND, LONGEST, OWNER
from qmail.protocol.aliasline import lines, words
from qmail.protocol.token822 import Malformed
from ucspi.core.command import Call, Program
from ucspi.core.failure import PermanentFailure, TemporaryFailure
from ucspi.core.replacement import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmail.core.defaultnames import DefaultNames
    from qmail.protocol.aliasline import Word

ALIASES = b"/etc/aliases"
OWNERS = b"owner-"

PROGRAM = Program("newaliases", __doc__, preload=("cdbx",))


def newaliases(call: Call) -> int:
    """Compile /etc/aliases."""
    os.umask(0o033)
    names = aliases.names(call.env)
    text = aliases.read(ALIASES)

    logical = [line for line in logical_lines(text) if not line.startswith(b"#")]
    if text and not text.endswith(b"\n"):
        # The original says nothing, and the alias is not there.
        call.warn("warning: the last line has no newline and is ignored")
    replace(
        ALIASES + b".cdb",
        ALIASES + b".tmp",
        lambda fd: database.write(fd, (record for line in logical for record in records(line, names))),
    )
    return 0


def logical_lines(text: bytes) -> Iterator[bytes]:
    """Lines with those that go on with them (from blank or tab) joined; empty lines are as if they were not there, and
    so is a last one without newline."""
    whole = b""
    for line in lines(text):
        if line == b"\n":
            continue
        if not line.startswith((b" ", b"\t")) and whole:
            yield whole
            whole = b""
        if not line.endswith(b"\n"):
            break
        whole += line
    if whole:
        yield whole


def records(line: bytes, names: DefaultNames) -> Iterator[tuple[bytes, bytes]]:
    """The records of a logical line: the leftmost address is the target, all else it goes to.  Raises Failure."""
    commands: list[bytes] = []
    target: tuple[Word, bytes] | None = None  # and its full form
    seen = False
    try:
        for word in words(line):
            seen = True
            if word.include:
                commands.append(aliases.included(word) + b".bin")
            elif aliases.is_program(word):
                commands.append(_program(word.text))
            else:
                if target is not None:
                    commands.append(ADDRESS + target[1])
                target = word, _address(word, names)
    except Malformed as e:
        raise aliases.unreadable(line) from e
    if not seen:  # blanks and comments
        return
    if target is None or not commands:
        raise aliases.unreadable(line)
    word, full = target
    key = (word.text if word.at else word.text + b"@").lower()
    if word.text.startswith(OWNERS):
        yield OWNER + key[len(OWNERS) :], full
    yield COMMAND + key, forwardtable.pack(commands)


def _program(text: bytes) -> bytes:
    if b"\0" in text:
        raise TemporaryFailure("NUL not permitted in program names")
    return b"!" + text[1:]


def _address(word: Word, names: DefaultNames) -> bytes:
    aliases.refuse_file(word)
    if not word.text:
        raise TemporaryFailure("empty recipient addresses not permitted")
    text, at = word.text, word.at
    if at and text.endswith(b"@"):  # an address without its host: here, and only here, that is one without @
        text, at = text[:-1], False
    address = names.complete(text, at)
    if aliases.too_long(address):
        raise PermanentFailure(f"addresses over {LONGEST} bytes are not permitted")
    return aliases.without_nul(address)


main = PROGRAM.entry(newaliases)
