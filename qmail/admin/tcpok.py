"""Forget which hosts lately timed out, so that they are tried at once.  qmail-tcpok(8).

Exits 0, or 111 if the table cannot be cleared."""

from __future__ import annotations

import fcntl
import os

from qmail.core import instance
from qmail.core.tcpto import SIZE
from ucspi.core import errtext
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure

PROGRAM = Program("qmail-tcpok", __doc__)


def tcpok(call: Call) -> int:
    """The program."""
    home = instance.of(call.env)
    directory = home.queue + b"/lock"
    table = directory + b"/tcpto"
    what, path = "chdir to", home.home
    try:
        os.stat(path + b"/.")
        path = directory
        os.stat(path + b"/.")
        what, path = "write", table
        fd = os.open(table, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            what = "lock"
            fcntl.flock(fd, fcntl.LOCK_EX)
            what = "clear"
            os.write(fd, bytes(SIZE))
        finally:
            os.close(fd)
    except OSError as e:
        raise TemporaryFailure(f"unable to {what} {os.fsdecode(path)}: {errtext.text(e)}") from e
    return 0


main = PROGRAM.entry(tcpok)
