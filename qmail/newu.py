"""Turn users/assign into users/cdb, where qmail-lspawn looks users up.  qmail-newu(8).

Works below QMAILHOME.  The new database takes the old one's place in one step, once it is safely on disk; if anything
is wrong the old one stays.  Exits 0, or 111 with one line that says what was wrong."""

from __future__ import annotations

import os

from qmail.core import instance, users
from ucspi.core import streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure
from ucspi.core.replacement import CREATE, MOVE, WRITE, NotReplaced, replace

PROGRAM = Program("qmail-newu", __doc__)
TROUBLE = {
    CREATE: "unable to open users/cdb.tmp",
    WRITE: "unable to write users/cdb.tmp",
    MOVE: "unable to move users/cdb.tmp to users/cdb",
}


def newu(call: Call) -> int:
    """The program."""
    here = instance.of(call.env)
    if not os.path.isdir(here.home):
        raise TemporaryFailure("unable to chdir")
    lines = _lines(here.path(b"users", b"assign"))

    def fill(fd: int) -> None:
        os.fchmod(fd, 0o644)  # whatever the umask is; with the original's of 033 it is the same
        users.build(fd, lines)

    try:
        replace(here.path(b"users", b"cdb"), here.path(b"users", b"cdb.tmp"), fill)
    except users.BadFormat as e:
        raise TemporaryFailure("bad format in users/assign") from e
    except NotReplaced as e:
        raise TemporaryFailure(TROUBLE[e.step]) from e
    return 0


def _lines(path: bytes) -> list[bytes]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as e:
        raise TemporaryFailure("unable to open users/assign") from e
    try:
        return _split(streams.read_all(fd))
    except OSError as e:
        raise TemporaryFailure("unable to read users/assign") from e
    finally:
        os.close(fd)


def _split(text: bytes) -> list[bytes]:
    """Lines with their newlines; the last may lack one."""
    *lines, last = text.split(b"\n")
    return [line + b"\n" for line in lines] + ([last] if last else [])


main = PROGRAM.entry(newu)
