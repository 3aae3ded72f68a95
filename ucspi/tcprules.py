"""Compile access rules for tcpserver.  tcprules(1).

Reads rules on descriptor 0, writes TMP, syncs it, and moves it to CDB: whoever reads CDB sees the old rules or the new.
Exits 100 for a line that is no rule, 111 if a file cannot be read or written; CDB is then as it was."""

from __future__ import annotations

import errno
import os

from ucspi.core import errtext, rules, streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import PermanentFailure, TemporaryFailure, UsageFailure

BLOCK = 1 << 18

PROGRAM = Program("tcprules", __doc__, usage="tcprules rules.cdb rules.tmp", operands="CDB TMP", preload=("cdbx",))


def tcprules(call: Call) -> int:
    """Compile descriptor 0."""
    if len(call.operands) < 2:
        raise UsageFailure("")
    cdb, tmp = call.operands[:2]
    fd = _create(tmp)
    try:
        _compile(call, fd, tmp)
        os.fsync(fd)
    except OSError as e:
        raise TemporaryFailure(f"unable to write to {os.fsdecode(tmp)}: {errtext.text(e)}") from e
    except OverflowError as e:  # the format ends at 4 GB
        raise TemporaryFailure(f"unable to write to {os.fsdecode(tmp)}: out of memory") from e
    except rules.Malformed as e:
        line = os.fsdecode(e.line.partition(b"\0")[0])
        raise PermanentFailure(f"unable to parse this line: {line}") from e
    finally:
        os.close(fd)
    try:
        os.rename(tmp, cdb)
    except OSError as e:
        raise TemporaryFailure(f"unable to move {os.fsdecode(tmp)} to {os.fsdecode(cdb)}: {errtext.text(e)}") from e
    _sync_directory(os.path.dirname(cdb) or b".")
    return 0


def _create(tmp: bytes) -> int:
    try:
        fd = os.open(tmp, os.O_RDWR | os.O_NONBLOCK | os.O_TRUNC | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as e:
        raise TemporaryFailure(f"unable to create {os.fsdecode(tmp)}: {errtext.text(e)}") from e
    if fd == 0:  # started without input: no rules to be read is not the same as no rules
        raise TemporaryFailure(f"unable to read input: {errtext.text(errno.EBADF)}")
    return fd


def _compile(call: Call, fd: int, tmp: bytes) -> None:
    import cdbx  # not needed for a usage error

    def ignored(number: int, line: bytes) -> None:
        # The original drops such a line in silence, and with it what the administrator wanted to deny.
        call.warn(b"warning: line %d has no colon, ignored: %b" % (number, line.partition(b"\0")[0]))

    maker = cdbx.CDB.make(fd, mmap=False)
    parser = rules.Parser(maker.add, ignored)
    while block := _read():
        parser.receive(block)
    parser.close()
    maker.commit()


def _read() -> bytes:
    try:
        return streams.read_some(0, BLOCK)
    except OSError as e:
        raise TemporaryFailure(f"unable to read input: {errtext.text(e)}") from e


def _sync_directory(directory: bytes) -> None:
    """Make the new name last.  The rules are in place already: a directory that cannot be synced is no failure."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.fsync(fd)
    except OSError:
        pass
    finally:
        os.close(fd)


main = PROGRAM.entry(tcprules)
