"""What newaliases, newinclude and dot-forward make of the words of a line (qmail.protocol.aliasline).

A word is a name of a list (after :include:), a program (from "|"), a file (from "/": sendmail's own affair, refused) or
an address.  With an unquoted `@` it is an address whatever it begins with."""

from __future__ import annotations

import os

from qmail.core import instance
from qmail.core.control import Control
from qmail.core.defaultnames import DefaultNames
from qmail.core.forwardtable import LISTS, LONGEST
from ucspi.core import errtext, streams
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmail.protocol.aliasline import Word


def names(env: Mapping[bytes, bytes], *, overridden: bool = False) -> DefaultNames:
    """The default names of the instance; the environment's with `overridden`.  Raises TemporaryFailure."""
    here = instance.of(env)
    if not os.path.isdir(here.home):
        raise TemporaryFailure(f"unable to chdir to {os.fsdecode(here.home)}: file does not exist")
    try:
        return DefaultNames(Control(here.control), env if overridden else {})
    except OSError as e:
        raise TemporaryFailure(f"unable to read controls: {errtext.text(e)}") from e


def read(name: bytes) -> bytes:
    """The content of a file.  Raises TemporaryFailure."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return streams.read_all(fd)
        finally:
            os.close(fd)
    except OSError as e:
        raise TemporaryFailure(f"unable to read {os.fsdecode(name)}: {errtext.text(e)}") from e


def unreadable(line: bytes) -> TemporaryFailure:
    """The line makes no sense."""
    return TemporaryFailure(f"unable to parse this line: {shown(line)}")


def shown(text: bytes) -> str:
    """Text in a message, as the originals print it: up to a NUL."""
    return os.fsdecode(text.partition(b"\0")[0])


def is_program(word: Word) -> bool:
    """Is it a command for sh?"""
    return not word.at and word.text.startswith(b"|")


def refuse_file(word: Word) -> None:
    """Raises TemporaryFailure for the name of a mailbox: only its owner may write there, and this is not he."""
    if not word.at and word.text.startswith(b"/"):
        raise TemporaryFailure(f"file delivery {shown(word.text)} not supported")


def included(word: Word) -> bytes:
    """The name of the list that is included.  Raises TemporaryFailure."""
    if not word.text:
        raise TemporaryFailure("empty :include: filenames not permitted")
    if b"\0" in word.text:
        raise TemporaryFailure("NUL not permitted in :include: filenames")
    return word.text if word.text.startswith(LISTS) else b"./" + word.text


def without_nul(address: bytes) -> bytes:
    """The address.  Raises TemporaryFailure if it could not be told from a shorter one."""
    if b"\0" in address:
        raise TemporaryFailure("NUL not permitted in recipient addresses")
    return address


def too_long(address: bytes) -> bool:
    """More than the readers of tables and lists take?"""
    return len(address) > LONGEST
