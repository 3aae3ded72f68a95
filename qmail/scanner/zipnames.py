"""The names in a zip archive, seen while its bytes go by.  APPNOTE.TXT 4.3 (PKWARE).

    "PK\\3\\4" version flags method time date crc csize usize nlen xlen name ...      before each file
    "PK\\1\\2" ... flags ... csize usize nlen xlen clen ... offset name extra ...      the directory, near the end
    "PK\\6\\6" ... entries entries directory's size, directory's offset, all long      zip64; then "PK\\6\\7" ...
    "PK\\5\\6" ... entries ... directory's size, directory's offset ...                the very end

Nothing is unpacked, so a bomb costs nothing here, and no more than TAIL bytes are held.  Both lists are read: readers
differ in which they believe, and an archive that says one thing in one and another in the other is marked `lying`.
So do they in where they look for the directory: before what tells its size, or at its offset."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TAIL = 256 * 1024  # bytes of the end that are kept for the directory
OVERHEAD = 200  # bytes that a name takes besides its own
LONGEST = 1024  # bytes of a name that are looked at
_LOCAL = struct.Struct("<4x2xHH2x2x4xIIHH")  # flags, method, csize, usize, lengths of name and extra field
_ENTRY = struct.Struct("<4x2x2xHH2x2x4xIIHHH2x2x4xI")  # flags, method, csize, usize, three lengths, offset
_END = struct.Struct("<4x2x2x2xHII")  # entries, size and offset of the directory
_END64 = struct.Struct("<4x8x2x2x4x4x8xQQQ")  # the same
_LOCATOR = 20  # bytes that follow that one
_EXTRA = struct.Struct("<HH")  # kind and length of an extra field
_ZIP64, _UNICODE = 0x0001, 0x7075  # kinds: APPNOTE.TXT 4.5.3, 4.6.9
_ENCRYPTED, _STREAMED = 1, 8  # bits of the flags; streamed: the sizes come behind the data
_ABSENT = 0xFFFFFFFF  # it is in a zip64 field
HUGE = 1 << 62  # more than that no size is


class Budget:
    """Memory for names, shared by all archives of a message; `left` is below zero once there was too little."""

    __slots__ = ("left",)

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, name: bytes) -> bool:
        """May this one be kept?"""
        if self.left >= 0:
            self.left -= len(name) + OVERHEAD
        return self.left >= 0


class Archive:
    """What is known of one archive.  feed() its bytes, then end()."""

    __slots__ = ("_at", "_budget", "_locals", "_pending", "_tail", "encrypted", "found", "lying", "names", "size")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.names: dict[bytes, int] = {}  # and the size that the archive claims for each; -1: it does not say
        self.encrypted = False
        self.lying = False
        self.found = False  # is there a directory?
        self.size = 0  # what all would unpack to, as the directory has it, or else the lines before the files
        self._locals: dict[int, tuple[bytes, int]] = {}
        self._pending = b""
        self._tail = bytearray()
        self._at = 0  # offset of _pending in the archive

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        self._tail += data
        if len(self._tail) > 2 * TAIL:
            del self._tail[:-TAIL]
        if self._budget.left < 0:
            self._at += len(self._pending) + len(data)
            self._pending = b""
            return  # no more names can be kept, and that is told
        data = self._pending + data
        at = 0
        while (found := data.find(b"PK\3\4", at)) >= 0:
            if len(data) - found < _LOCAL.size + LONGEST:
                break  # wait for all of it
            self._local(data, found)
            at = found + 4
        keep = found if found >= 0 else max(at, len(data) - 3)
        self._at += keep
        self._pending = data[keep:]

    def end(self) -> None:
        """There are no more bytes."""
        at = 0
        while (found := self._pending.find(b"PK\3\4", at)) >= 0:
            if len(self._pending) - found >= _LOCAL.size:
                self._local(self._pending, found)
            at = found + 4
        self._at += len(self._pending)
        self._pending = b""
        self._directory(bytes(self._tail))
        self._tail.clear()
        if not self.found:
            self.size = sum(max(0, size) for _, size in self._locals.values())

    def _local(self, data: bytes, at: int) -> None:
        flags, _, _, size, length, _ = _LOCAL.unpack_from(data, at)
        if length == 0:
            self._budget.take(b"")  # it costs time, if no memory
            return
        name = data[at + _LOCAL.size : at + _LOCAL.size + min(length, LONGEST)]
        known = -1 if flags & _STREAMED or size == _ABSENT else size
        self.encrypted |= bool(flags & _ENCRYPTED)
        if self._budget.take(name):
            self._locals[self._at + at] = (name, known)
            self._name(name, known)

    def _name(self, name: bytes, size: int) -> None:
        if name.endswith(b"/"):
            return  # a directory
        if name in self.names:
            self.names[name] = max(size, self.names[name])
        elif self._budget.take(name):
            self.names[name] = size

    def _directory(self, tail: bytes) -> None:
        """Look for it, and read it."""
        end = tail.rfind(b"PK\5\6")
        if end < 0 or len(tail) - end < _END.size:
            return
        number, length, offset = _END.unpack_from(tail, end)
        long = tail.rfind(b"PK\6\6", 0, end)
        if long >= 0 and long + _END64.size <= end and tail.startswith(b"PK\6\7", end - _LOCATOR):
            end = long
            number, length, offset = _END64.unpack_from(tail, long)
        dropped = self._at - len(tail)  # bytes before those that are held
        starts = [end - length, offset - dropped]
        start = next((at for at in starts if 0 <= at < end and tail.startswith(b"PK\1\2", at)), -1)
        if start >= 0:
            self.found = True
            self._read(tail, start, end, start + dropped - offset)
        elif number and min(starts) >= 0:
            self.lying = True  # it has a directory, but neither where it says nor where it ought to be
        # else it is too long to be held, or a lie: the names before the files are all we have

    def _read(self, tail: bytes, at: int, end: int, shift: int) -> None:
        """`shift`: bytes that stand before the archive, as in one that extracts itself."""
        while at + _ENTRY.size <= end and tail.startswith(b"PK\1\2", at):
            flags, _, packed, size, length, extra, comment, where = _ENTRY.unpack_from(tail, at)
            at += _ENTRY.size
            name = tail[at : at + min(length, LONGEST)]
            at += length
            for kind, field in _extras(tail[at : at + extra]):
                if kind == _ZIP64:
                    size, packed, where = _long(field, size, packed, where)
                elif kind == _UNICODE:
                    self._name(field[5 : 5 + LONGEST], size)  # behind a version and the other name's checksum
            self._name(name, size)
            self.size = min(self.size + size, HUGE)
            self.encrypted |= bool(flags & _ENCRYPTED)
            self._compare(where + shift, name, size)
            at += extra + comment

    def _compare(self, offset: int, name: bytes, size: int) -> None:
        if self._budget.left < 0:
            return
        before = self._locals.get(offset)
        if before is None or before[0] != name or (before[1] >= 0 and before[1] != size):
            self.lying = True


def _extras(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, content) of each extra field of an entry; what is broken ends them."""
    at = 0
    while at + _EXTRA.size <= len(data):
        kind, length = _EXTRA.unpack_from(data, at)
        at += _EXTRA.size
        yield kind, data[at : at + length]
        at += length


def _long(field: bytes, *values: int) -> list[int]:
    """Put what a zip64 field has, 8 bytes each and in this order, in the place of those that are absent."""
    found = []
    for value in values:
        if value == _ABSENT and len(field) >= 8:
            value, field = int.from_bytes(field[:8], "little"), field[8:]
        found.append(value)
    return found
