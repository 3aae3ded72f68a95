"""Netstrings, as QMTP and QMQP use them.  http://cr.yp.to/proto/netstrings.txt, qmail-qmtpd(8).

    length ":" bytes ","          length in decimal; leading zeros, and no digit at all for 0, are borne with

No sockets here, and no payload is kept: a netstring of 200 MB passes through piece by piece."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 200_000_000  # a length that has passed this may not grow by another digit


class Malformed(Exception):
    """What came is no netstring; the connection cannot be understood any more."""


class TooLarge(Exception):
    """A length beyond what we would ever take."""


def pack(data: bytes) -> bytes:
    """`data` as a netstring."""
    return b"%d:%b," % (len(data), data)


class Reader:
    """Push parser for one netstring after another.

    With `room`, all of them together must fit into so many bytes, as netstrings inside a netstring must: a length
    that leaves no room for its bytes and comma is Malformed at once, not when the bytes run out."""

    __slots__ = ("_digits", "_left", "_length", "_room", "length")

    def __init__(self, room: int | None = None) -> None:
        self.length: int | None = None  # of the netstring being read; None while its digits come in
        self._length = 0  # the digits so far
        self._digits = False  # something of a next netstring has come
        self._left = 0  # bytes of payload to come
        self._room = room

    @property
    def between(self) -> bool:
        """True where the input may end: no netstring has begun."""
        return self.length is None and not self._digits

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Pieces of payload, and behind the last one of a netstring, when its comma has come, (b"", True).

        Lazy: what is not asked for is not parsed, and errors come after all that was good before them."""
        at = 0
        while at < len(data):
            if self.length is None:
                at = self._read_length(data, at)
            elif self._left:
                piece = data[at : at + self._left]
                at += len(piece)
                self._left -= len(piece)
                yield piece, False
            else:
                at = self._read_comma(data, at)
                yield b"", True

    def _read_length(self, data: bytes, at: int) -> int:
        while at < len(data):
            byte = data[at]
            at += 1
            self._digits = True
            self._take(1)
            if byte == 0x3A:
                self._take(self._length + 1)
                self.length = self._left = self._length
                self._length, self._digits = 0, False
                break
            if self._length > LARGEST:
                raise TooLarge
            if not 0x30 <= byte <= 0x39:
                raise Malformed("no digit in a length")
            self._length = self._length * 10 + byte - 0x30
        return at

    def _read_comma(self, data: bytes, at: int) -> int:
        if data[at] != 0x2C:
            raise Malformed("no comma behind the bytes")
        self.length = None
        return at + 1

    def _take(self, count: int) -> None:
        if self._room is not None:
            if count > self._room:
                raise Malformed("more inside than fits")
            self._room -= count


class Strings:
    """Whole netstrings, for short ones: addresses.  Of a longer one only the first `limit` bytes are kept, enough
    to see that it is too long."""

    __slots__ = ("_kept", "_limit", "_reader")

    def __init__(self, limit: int, room: int | None = None) -> None:
        self._reader = Reader(room)
        self._limit = limit
        self._kept = b""

    @property
    def between(self) -> bool:
        """True where the input may end."""
        return self._reader.between

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The netstrings that `data` completes."""
        for piece, ended in self._reader.feed(data):
            self._kept += piece[: self._limit - len(self._kept)]
            if ended:
                whole, self._kept = self._kept, b""
                yield whole
