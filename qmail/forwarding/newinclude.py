"""Turn a sendmail-style :include: file into a binary list for fastforward.  newinclude(1).

Reads LIST, writes LIST.tmp, syncs it, and moves it to LIST.bin.  QMAILDEFAULTHOST, QMAILDEFAULTDOMAIN and
QMAILPLUSDOMAIN override the control files.  Exits 111 if something is wrong; LIST.bin is then as it was."""

from __future__ import annotations

import os

from qmail.core import aliases
from qmail.core.forwardtable import ADDRESS, LONGEST
from qmail.protocol.aliasline import lines, words
from qmail.protocol.token822 import Malformed
from ucspi.core import streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure
from ucspi.core.replacement import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmail.core.defaultnames import DefaultNames
    from qmail.protocol.aliasline import Word

PROGRAM = Program("newinclude", __doc__, usage="newinclude list", operands="LIST")


def newinclude(call: Call) -> int:
    """Compile LIST."""
    if not call.operands:
        raise UsageFailure
    name = call.operands[0]
    os.umask(0o033)
    names = aliases.names(call.env, overridden=True)
    text = aliases.read(name)
    replace(
        name + b".bin",
        name + b".tmp",
        lambda fd: streams.write_all(fd, b"".join(entry + b"\0" for entry in entries(text, names))),
    )
    return 0


def entries(text: bytes, names: DefaultNames) -> Iterator[bytes]:
    """The entries of the binary list.  Raises TemporaryFailure."""
    for line in lines(text):
        if line.startswith(b"#"):
            continue
        try:
            for word in words(line):
                if word.text or word.include:
                    yield _entry(word, names)
        except Malformed as e:
            raise aliases.unreadable(line) from e


def _entry(word: Word, names: DefaultNames) -> bytes:
    if word.include:
        name = aliases.included(word)
        if b"\n" in name:
            raise TemporaryFailure("newlines not permitted in :include: filenames")
        return name
    aliases.refuse_file(word)
    if aliases.is_program(word):
        raise TemporaryFailure(f"program delivery {aliases.shown(word.text)} not supported")
    address = names.complete(aliases.without_nul(word.text), word.at)
    if b"\n" in address:
        raise TemporaryFailure("newlines not permitted in recipient addresses")
    if aliases.too_long(address):
        raise TemporaryFailure(f"addresses must be under {LONGEST} bytes")
    if address.endswith((b" ", b"\t")):  # text lists end their lines so
        raise TemporaryFailure("spaces and tabs not permitted at ends of addresses")
    return ADDRESS + address


main = PROGRAM.entry(newinclude)
