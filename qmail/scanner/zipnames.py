"""The names in a zip archive, seen while its bytes go by.  APPNOTE.TXT 4.3 (PKWARE).

    "PK\\3\\4" version flags method time date crc csize usize nlen xlen name ...      before each file
    "PK\\1\\2" ... flags ... csize usize nlen xlen clen ... offset name ...            the directory, near the end
    "PK\\5\\6" ... entries ... directory's size, directory's offset ...                the very end

Nothing is unpacked, so a bomb costs nothing here, and no more than TAIL bytes are held.  Both lists are read: readers
differ in which they believe, and an archive that says one thing in one and another in the other is marked `lying`."""

from __future__ import annotations

import struct

TAIL = 256 * 1024  # bytes of the end that are kept for the directory
OVERHEAD = 200  # bytes that a name takes besides its own
LONGEST = 1024  # bytes of a name that are looked at
_LOCAL = struct.Struct("<4x2xHH2x2x4xIIHH")  # flags, method, csize, usize, lengths of name and extra field
_ENTRY = struct.Struct("<4x2x2xHH2x2x4xIIHHH2x2x4xI")  # flags, method, csize, usize, three lengths, offset
_END = struct.Struct("<4x2x2x2xHII")  # entries, size and offset of the directory
_ENCRYPTED, _STREAMED = 1, 8  # bits of the flags; streamed: the sizes come behind the data
_ABSENT = 0xFFFFFFFF  # it is in a zip64 field


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

    __slots__ = ("_at", "_budget", "_locals", "_pending", "_tail", "encrypted", "lying", "names", "size")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.names: dict[bytes, int] = {}  # and the size that the archive claims for each; -1: it does not say
        self.encrypted = False
        self.lying = False
        self.size = 0  # what all would unpack to, as the directory has it
        self._locals: dict[int, tuple[bytes, int]] = {}
        self._pending = b""
        self._tail = bytearray()
        self._at = 0  # offset of _pending in the archive

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        self._tail += data
        if len(self._tail) > 2 * TAIL:
            del self._tail[:-TAIL]
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
        self._directory()
        self._tail.clear()

    def _local(self, data: bytes, at: int) -> None:
        flags, _, _, size, length, _ = _LOCAL.unpack_from(data, at)
        if length == 0:
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

    def _directory(self) -> None:
        tail = bytes(self._tail)
        end = tail.rfind(b"PK\5\6")
        if end < 0 or len(tail) - end < _END.size:
            return
        _, length, offset = _END.unpack_from(tail, end)
        start = end - length
        if start < 0 or length == _ABSENT:
            return  # too long to be held, or a lie: the names before the files are all we have
        shift = self._at - len(tail) + start - offset  # what stands before the archive, as in a self-extracting one
        at = start
        while at + _ENTRY.size <= end and tail.startswith(b"PK\1\2", at):
            flags, _, _, size, length, extra, comment, where = _ENTRY.unpack_from(tail, at)
            name = tail[at + _ENTRY.size : at + _ENTRY.size + min(length, LONGEST)]
            self._name(name, size)
            self.size += size
            self.encrypted |= bool(flags & _ENCRYPTED)
            self._compare(where + shift, name, size)
            at += _ENTRY.size + length + extra + comment

    def _compare(self, offset: int, name: bytes, size: int) -> None:
        if self._budget.left < 0:
            return
        before = self._locals.get(offset)
        if before is None or before[0] != name or (before[1] >= 0 and size != _ABSENT and before[1] != size):
            self.lying = True
