"""What qmail-send and the two spawn programs say to each other.  qmail-lspawn(8), qmail-rspawn(8), qmail-send(8).

    limit    one byte, the first thing a spawn program writes: how many deliveries it runs at once
    command  delnum:1 byte   messid 0x00   sender 0x00   recipient 0x00        qmail-send to the spawn program
    report   delnum:1 byte   letter:1 byte (K, Z or D)   text 0x00             and back, in any order

delnum is a number, not text: 0 is the byte 0x00, so a 0x00 in first place ends nothing.  messid is the message's
file below queue/mess, `14/2196445`; addresses may hold any byte but 0x00.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 120  # deliveries at once, conf-spawn of the original
REPORT_MAX = 10000  # bytes of one report qmail-send keeps, delnum and letter included


class Command:
    """One delivery asked for."""

    __slots__ = ("delnum", "messid", "recipient", "sender")

    def __init__(self, delnum: int, messid: bytes, sender: bytes, recipient: bytes) -> None:
        self.delnum, self.messid, self.sender, self.recipient = delnum, messid, sender, recipient

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Command) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return f"Command{self._all()}"

    def _all(self) -> tuple[int, bytes, bytes, bytes]:
        return self.delnum, self.messid, self.sender, self.recipient


def pack_command(delnum: int, messid: bytes, sender: bytes, recipient: bytes) -> bytes:
    """Return the bytes that ask for one delivery."""
    return b"%c%b\0%b\0%b\0" % (delnum, messid, sender, recipient)


def pack_report(delnum: int, letter: bytes, text: bytes) -> bytes:
    """Return the bytes that report one delivery; the text ends at its first 0x00, which would end the report."""
    return b"%c%b%b\0" % (delnum, letter, text.partition(b"\0")[0])


class CommandReader:
    """Bytes from qmail-send in, commands out.  A command cut off by end of file was never given."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> Iterator[Command]:
        """Take the next bytes, yield every command that is complete."""
        data = self._pending + data
        start = 0
        while True:
            fields: list[bytes] = []
            at = start + 1
            while len(fields) < 3 and (end := data.find(b"\0", at)) >= 0:
                fields.append(data[at:end])
                at = end + 1
            if len(fields) < 3:
                break
            command = Command(data[start], *fields)
            start = at
            # Kept up to date before the yield: a caller that stops here loses nothing.
            self._pending = data[start:]
            yield command
        self._pending = data[start:]


class ReportReader:
    """Bytes from a spawn program in, (delnum, letter, text) out.

    Not more than `limit` bytes of a report are kept, whatever comes (qmail-send does not trust qmail-rspawn); the
    report still ends at its 0x00 only.  A report without a letter (delnum 0x00) comes out with the letter b"".
    """

    __slots__ = ("_kept", "limit")

    def __init__(self, limit: int = REPORT_MAX) -> None:
        self.limit = limit
        self._kept = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
        """Take the next bytes, yield every report that is complete."""
        at = 0
        while at < len(data):
            # The first byte of a report is its delnum, be it 0x00.
            end = data.find(b"\0", at if self._kept else at + 1)
            piece = data[at:] if end < 0 else data[at:end]
            self._kept = (self._kept + piece)[: self.limit]
            if end < 0:
                return
            report, self._kept, at = self._kept, b"", end + 1
            yield report[0], report[1:2], report[2:]
