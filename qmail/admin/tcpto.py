"""Print the table of hosts that lately timed out.  qmail-tcpto(8).

One line for each: address, how long ago, how often.  Exits 0; 111 if the table cannot be read, which is said on
descriptor 1."""

from __future__ import annotations

import fcntl
import os
import time

from qmail.core import instance, tcpto
from ucspi.core import errtext, streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure

PROGRAM = Program("qmail-tcpto", __doc__)


def qmail_tcpto(call: Call) -> int:
    """The program."""
    try:
        table = _read(instance.of(call.env).queue + b"/lock")
    except TemporaryFailure as e:
        streams.write_all(1, os.fsencode(f"fatal: {e}\n"))
        return e.exitcode
    now = int(time.time())
    streams.write_all(1, b"".join([line(record, now) for record in tcpto.records(table) if record.count]))
    return 0


def line(record: tcpto.Record, now: int) -> bytes:
    """What is known of a host."""
    address = b".".join([b"%d" % byte for byte in record.address])
    ago = max(0, now - record.when)  # a clock set back must not show an age of ages
    return b"%b timed out %d seconds ago; # recent timeouts: %d\n" % (address, ago, record.count)


def _read(directory: bytes) -> bytes:
    """The table, while nobody changes it.  Raises TemporaryFailure."""
    what = "chdir"
    try:
        os.stat(directory + b"/.")
        what = "open tcpto"
        fd = os.open(directory + b"/tcpto", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            what = "lock tcpto"
            fcntl.flock(fd, fcntl.LOCK_EX)
            what = "read tcpto"
            return os.read(fd, tcpto.SIZE)
        finally:
            os.close(fd)
    except OSError as e:
        raise TemporaryFailure(f"unable to {what}: {errtext.text(e)}") from e


main = PROGRAM.entry(qmail_tcpto)
