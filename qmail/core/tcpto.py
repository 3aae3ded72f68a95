"""Hosts that lately timed out: the table queue/lock/tcpto.  qmail-tcpto(8).

    64 records of 16 bytes:  address:4   count:1   0x00 * 3   unix time:4 little-endian   0x00 * 4

count 0 is a free record, 10 the most.  A host with 2 or more time-outs is left alone for about an hour, so that
qmail-remote does not spend its slot on waiting.  The table only ever saves time: whatever is wrong with it (absent,
short, not to be locked) means "nothing is known" and is no error.  There is no room in it for IPv6 addresses."""

from __future__ import annotations

import _socket
import fcntl
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = struct.Struct("<4sB3xI4x")
SIZE = 64 * RECORD.size
MANY = 10
RECENT = 120  # seconds in which further time-outs count as the same one


class Record:
    """What is known of one host."""

    __slots__ = ("address", "at", "count", "when")

    def __init__(self, at: int, address: bytes, count: int, when: int) -> None:
        self.at = at  # byte offset
        self.address = address  # four bytes
        self.count = count
        self.when = when


def records(table: bytes) -> Iterator[Record]:
    """Every whole record, free ones too."""
    for at in range(0, len(table) - RECORD.size + 1, RECORD.size):
        yield Record(at, *RECORD.unpack_from(table, at))


def find(table: bytes, address: bytes) -> Record | None:
    """The first record of a host, be it free."""
    at = table.find(address)
    while at % RECORD.size and at >= 0:  # found across fields
        at = table.find(address, at + 1)
    whole = 0 <= at <= len(table) - RECORD.size
    return Record(at, *RECORD.unpack_from(table, at)) if whole else None


def avoided(record: Record, now: int, pid: int) -> bool:
    """Is this a host to leave alone?  For 64 to 97 minutes: the pid spreads those who try first.

    A time that is to come was noted before the clock was set back, and says nothing."""
    return record.count >= 2 and -RECENT < now - record.when < (60 + (pid & 31)) * 64


def timed_out(table: bytes, address: bytes, now: int) -> Record | None:
    """The record to write after a time-out; None if the table stays as it is."""
    record = find(table, address)
    if record is None:
        everybody = list(records(table))
        free = (each for each in everybody if not each.count)
        record = next(free, None) or min(everybody, key=lambda each: each.when + each.count * 1024, default=None)
        return record and Record(record.at, address, 1, now)
    if record.count and abs(now - record.when) < RECENT:
        return None
    return Record(record.at, address, min(record.count + 1, MANY), now)


class Table:
    """The file.  Remembers which hosts it had a record of when they were looked up, as only theirs need a reset."""

    __slots__ = ("_listed", "path")

    def __init__(self, path: bytes) -> None:
        self.path = path
        self._listed: set[bytes] = set()

    def avoids(self, host: bytes, now: int, pid: int) -> bool:
        """Is `host` (an address as text) to be left alone?"""
        address = _packed(host)
        if address is None:
            return False
        with _Locked(self.path) as table:
            record = find(table.data, address)
        if record is None:
            return False
        self._listed.add(address)
        return avoided(record, now, pid)

    def timed_out(self, host: bytes, now: int) -> None:
        """A connection attempt timed out."""
        address = _packed(host)
        if address is None:
            return
        with _Locked(self.path) as table:
            table.write(timed_out(table.data, address, now))

    def answered(self, host: bytes) -> None:
        """`host` accepted or refused a connection: it is there."""
        address = _packed(host)
        if address is None or address not in self._listed:
            return
        with _Locked(self.path) as table:
            record = find(table.data, address)
            if record is not None and record.count:
                table.write(Record(record.at, address, 0, record.when))

    def clear(self) -> None:
        """Forget everything, under the lock, as qmail-tcpok does.  OSError if that cannot be."""
        fd = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            os.write(fd, bytes(SIZE))
        finally:
            os.close(fd)

    def read(self) -> list[Record]:
        """Every record, for people to look at.  OSError if that cannot be."""
        fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return list(records(os.read(fd, SIZE)))
        finally:
            os.close(fd)


class _Locked:
    """The table's bytes while nobody else changes it; none at all if anything is wrong."""

    __slots__ = ("_fd", "data", "path")

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.data = b""
        self._fd = -1

    def __enter__(self) -> _Locked:
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            self.data = os.read(self._fd, SIZE)
        except OSError:
            self.data = b""
        return self

    def write(self, record: Record | None) -> None:
        if record is None or self._fd < 0:
            return
        try:
            os.pwrite(self._fd, RECORD.pack(record.address, record.count, record.when & 0xFFFFFFFF), record.at)
        except OSError:
            pass

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _packed(host: bytes) -> bytes | None:
    try:
        return _socket.inet_pton(_socket.AF_INET, host.decode("ascii", "replace"))
    except (OSError, ValueError):
        return None
