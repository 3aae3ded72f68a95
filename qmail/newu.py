"""Turn users/assign into users/cdb, where qmail-lspawn looks users up.  qmail-newu(8).

Works below QMAILHOME.  The new database takes the old one's place in one step, once it is safely on disk; if anything
is wrong the old one stays.  Exits 0, or 111 with one line that says what was wrong."""

from __future__ import annotations

import os

from qmail.core import instance, users
from ucspi.core import streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure

PROGRAM = Program("qmail-newu", __doc__)


def newu(call: Call) -> int:
    """The program."""
    here = instance.of(call.env)
    if not os.path.isdir(here.home):
        raise TemporaryFailure("unable to chdir")
    lines = _lines(here.path(b"users", b"assign"))
    temporary, database = here.path(b"users", b"cdb.tmp"), here.path(b"users", b"cdb")
    _write(temporary, lines)
    try:
        os.rename(temporary, database)
        # rename promises a name only once the directory is on disk; a crash may show the old one, never half of one.
        _sync(here.path(b"users"))
    except OSError as e:
        raise TemporaryFailure("unable to move users/cdb.tmp to users/cdb") from e
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


def _write(path: bytes, lines: list[bytes]) -> None:
    # 0644 whatever the umask is, but never group or world writable; with the original's umask of 033 it is the same.
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o644)
    except OSError as e:
        raise TemporaryFailure("unable to open users/cdb.tmp") from e
    try:
        os.fchmod(fd, 0o644)
        users.build(fd, lines)
        os.fsync(fd)
    except users.BadFormat as e:
        raise TemporaryFailure("bad format in users/assign") from e
    except OSError as e:
        raise TemporaryFailure("unable to write users/cdb.tmp") from e
    finally:
        os.close(fd)


def _sync(directory: bytes) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


main = PROGRAM.entry(newu)
