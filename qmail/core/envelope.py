"""Envelopes: who a message is from, and for whom.  envelopes(5), qmail-queue(8).

On qmail-queue's descriptor 1:
    b"F" sender 0x00  ( b"T" recipient 0x00 )*  0x00          addresses: any bytes but 0x00, at most 1002 of them
In intd/ and todo/:
    b"u" uid 0x00  b"p" pid 0x00  b"F" sender 0x00  ( b"T" recipient 0x00 )*       numbers in decimal, no end mark

End of file before the last 0x00 is no envelope: nothing may be queued.  In the queue's files the records may come in
any order.  The sender and recipient records are the same bytes in both forms, so a Reader passes them through."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST = 1002  # bytes in an address; qmail-queue(8)


class BadEnvelope(ValueError):
    """Not an envelope; `code` is what qmail-queue exits with."""

    code = 91


class AddressTooLong(BadEnvelope):
    """An address of more than LONGEST bytes."""

    code = 11


def pack(sender: bytes, recipients: Iterable[bytes]) -> bytes:
    """Return the envelope as qmail-queue reads it."""
    return b"".join((b"F", sender, b"\0", *[b"T%b\0" % recipient for recipient in recipients], b"\0"))


def unpack(data: bytes) -> tuple[bytes, list[bytes]]:
    """Return (sender, recipients) of a whole envelope; bytes behind its end are ignored."""
    reader = Reader()
    sender, *recipients = reader.feed(data).split(b"\0")[:-1] or [b""]
    if not reader.done:
        raise BadEnvelope("envelope ends early")
    return sender[1:], [recipient[1:] for recipient in recipients]


class Reader:
    """Checks an envelope that comes in blocks of any size, holding no more than one address.

    `feed` gives back the records that are complete; `done` says that the end mark was seen, and what comes after is
    dropped."""

    __slots__ = ("_letter", "_rest", "done")

    def __init__(self) -> None:
        self.done = False
        self._letter = b"F"  # how the next record must start
        self._rest = b""  # a record whose 0x00 is still to come

    def feed(self, data: bytes) -> bytes:
        """Take the next block; return the records it completes.  Raises BadEnvelope."""
        if self.done:
            return b""
        data = self._rest + data
        *records, rest = data.split(b"\0")
        taken = 0
        for record in records:
            if not record and self._letter == b"T":
                self.done = True
                self._rest = b""
                return data[:taken]
            self._check(record)
            self._letter = b"T"
            taken += len(record) + 1
        if rest:
            self._check(rest)  # at once: an endless address must not grow in memory
        self._rest = rest
        return data[:taken]

    def _check(self, record: bytes) -> None:
        if record[:1] != self._letter:
            raise BadEnvelope("record starts with neither F nor T")
        if len(record) > LONGEST + 1:
            raise AddressTooLong("address too long")


def pack_todo(uid: int, pid: int) -> bytes:
    """Return how a file in intd/ starts; the records that a Reader gives follow."""
    return b"u%d\0p%d\0" % (uid, pid)


def records(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the records, each without its 0x00, of a queue file (todo, info, local, remote) that comes in blocks.

    Bytes after the last 0x00 are dropped, as qmail-send does: the file was still being written."""
    rest = b""
    for block in blocks:
        *complete, rest = (rest + block).split(b"\0")
        yield from complete
