"""The recipient of one local delivery: the lines that go before his copy, and what his programs are told.

qmail-command(8), qmail-local(8).  Lines carry their newline, in the environment too:

    From SENDER DATE                 mbox only; blanks in the sender become "-", the empty one is MAILER-DAEMON
    Return-Path: <SENDER>            quoted as an address
    Delivered-To: LOCAL@HOST         as it is; a message that has this very line already goes round in a circle"""

from __future__ import annotations

from qmail.core import address, datestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_BLANKS = bytes.maketrans(b" \t\n", b"---")
_NO_NEWLINE = bytes.maketrans(b"\n", b"_")


class Recipient:
    """User and home that deliver, and the address: LOCAL@HOST, of which EXT is the user's to divide."""

    __slots__ = ("dash", "ext", "home", "host", "local", "user")

    def __init__(self, user: bytes, home: bytes, local: bytes, dash: bytes, ext: bytes, host: bytes) -> None:
        self.user, self.home, self.local, self.dash, self.ext, self.host = user, home, local, dash, ext, host

    def delivered_to(self) -> bytes:
        """The Delivered-To line."""
        return b"Delivered-To: %b@%b\n" % (self.local.translate(_NO_NEWLINE), self.host.translate(_NO_NEWLINE))

    def environment(self, sender: bytes, now: float) -> dict[bytes, bytes]:
        """The variables that are known before the .qmail file is."""
        ext2 = self.ext.partition(b"-")[2]
        ext3 = ext2.partition(b"-")[2]
        host2 = _shorter(self.host)
        host3 = _shorter(host2)
        return {
            b"HOST": self.host,
            b"HOME": self.home,
            b"USER": self.user,
            b"LOCAL": self.local,
            b"RECIPIENT": self.local + b"@" + self.host,
            b"DTLINE": self.delivered_to(),
            b"SENDER": sender,
            b"RPLINE": return_path(sender),
            b"UFLINE": from_line(sender, now),
            b"EXT": self.ext,
            b"EXT2": ext2,
            b"EXT3": ext3,
            b"EXT4": ext3.partition(b"-")[2],
            b"HOST2": host2,
            b"HOST3": host3,
            b"HOST4": _shorter(host3),
        }


def _shorter(host: bytes) -> bytes:
    """The host without its last label; a host of one label stays."""
    before, dot, _ = host.rpartition(b".")
    return before if dot else host


def return_path(sender: bytes) -> bytes:
    """The Return-Path line."""
    return b"Return-Path: <%b>\n" % address.quote(sender).translate(_NO_NEWLINE)


def from_line(sender: bytes, now: float) -> bytes:
    """The From_ line of an mbox file."""
    return b"From %b %b\n" % (sender.translate(_BLANKS) or b"MAILER-DAEMON", datestamp.mbox(now))


def has_line(line: bytes, blocks: Iterable[bytes]) -> bool:
    """True if the header of the message, which comes in blocks, has this line (given with its newline)."""
    wanted = b"\n" + line
    window = b"\n"
    for block in blocks:
        window += block
        end = window.find(b"\n\n")
        if end >= 0:
            return wanted in window[: end + 1]
        if wanted in window:
            return True
        window = window[-len(line) :]  # neither the line nor the end of the header can begin earlier
    return False
