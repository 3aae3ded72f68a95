"""Compile access rules for tcpserver.  tcprules(1).

Reads rules on descriptor 0, writes TMP, syncs it, and moves it to CDB: whoever reads CDB sees the old rules or the new.
Exits 100 for a line that is no rule, 111 if a file cannot be read or written; CDB is then as it was."""

from __future__ import annotations

import errno
import os

from ucspi.core import errtext, rules, streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import PermanentFailure, TemporaryFailure, UsageFailure
from ucspi.core.replacement import replace

BLOCK = 1 << 17

PROGRAM = Program("tcprules", __doc__, usage="tcprules rules.cdb rules.tmp", operands="CDB TMP", preload=("cdbx",))


def tcprules(call: Call) -> int:
    """Compile descriptor 0."""
    if len(call.operands) < 2:
        raise UsageFailure("")
    cdb, tmp = call.operands[:2]
    replace(cdb, tmp, lambda fd: _fill(call, fd))
    return 0


def _fill(call: Call, fd: int) -> None:
    """Write the database.  Raises OSError, Failure."""
    try:
        _compile(call, fd)
    except OverflowError as e:  # the format ends at 4 GB
        raise OSError(errno.ENOMEM, str(e)) from e
    except rules.Malformed as e:
        line = os.fsdecode(e.line.partition(b"\0")[0])
        raise PermanentFailure(f"unable to parse this line: {line}") from e


def _compile(call: Call, fd: int) -> None:
    import cdbx  # not needed for a usage error

    def odd(number: int, what: bytes, line: bytes) -> None:
        # The original says nothing, and what the administrator wanted to deny is allowed.
        call.warn(b"warning: line %d %b: %b" % (number, what, line.partition(b"\0")[0]))

    maker = cdbx.CDB.make(fd, mmap=False)
    parser = rules.Parser(maker.add, odd)
    while block := _read():
        parser.receive(block)
    parser.close()
    maker.commit()


def _read() -> bytes:
    try:
        return streams.read_some(0, BLOCK)
    except OSError as e:
        raise TemporaryFailure(f"unable to read input: {errtext.text(e)}") from e


main = PROGRAM.entry(tcprules)
