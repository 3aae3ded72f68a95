"""The notice that tells a sender what could not be delivered, and the file it grows in.  qmail-send(8), QSBMF.

bounce/N holds one paragraph per failed recipient, and ends up in the middle of the notice:

    b"<" recipient b">:\\n" report b"\\n"         no empty line inside; the line feed at the end makes the one after

A notice goes to the sender of a message, with the empty sender.  One about a message with an empty sender (a double
bounce) goes to the postmaster, with the sender `#@[]`; one about a message from `#@[]` (a triple bounce) to nobody."""

from __future__ import annotations

from qmail.core.address import quote, quote_local
from qmail.core.datestamp import rfc822
from qmail.core.rewrite import VERP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.core.settings import Settings

DOUBLE = b"#@[]"  # the sender of a double bounce: no address can be reached under it
TOO_LONG = b"I'm not going to try again; this message has been in the queue too long.\n"


def paragraph(recipient: bytes, report: bytes) -> bytes:
    """What bounce/N gets for one recipient (as the sender wrote it) and the text of its report."""
    text = b"<%b>:\n%b" % (recipient.replace(b"\n", b"_"), report)
    # An empty line would end the paragraph, and whoever writes reports could forge the rest of the notice: a line feed
    # behind a line feed becomes "/".  The last byte of all is exempt, as in the original.
    *lines, last = text.removesuffix(b"\n").split(b"\n")
    return b"".join(line + (b"\n" if line else b"/") for line in lines) + last + b"\n\n"


def addressee(sender: bytes) -> bytes:
    """The envelope sender that a notice speaks of: `list-@host-@[]` gets its notices as `list-@host`."""
    return sender.removesuffix(VERP)


class Notice:
    """A failure notice: its envelope (`sender`, `recipient`), and `head` + bounce/N + `tail` + mess/N, its text."""

    __slots__ = ("_original", "_settings", "recipient", "sender")

    def __init__(self, original: bytes, settings: Settings) -> None:
        """`original` is the addressee() of the failed message."""
        self._original = original
        self._settings = settings
        self.sender = b"" if original else DOUBLE
        self.recipient = original or settings.doublebounceto

    def head(self, now: int) -> bytes:
        """Header, and the introduction."""
        host = self._settings.bouncehost
        return b"Date: %b\nFrom: %b@%b\nTo: %b\nSubject: failure notice\n\n%b" % (
            rfc822(now),
            quote_local(self._settings.bouncefrom),
            host,
            quote(self.recipient),
            (_SINGLE if self._original else _DOUBLE) % host,
        )

    def tail(self) -> bytes:
        """The break between the paragraphs and the message, which follows as it is."""
        which = b"a copy of the message" if self._original else b"the original bounce"
        return b"--- Below this line is %b.\n\nReturn-Path: <%b>\n" % (which, quote(self._original))


_SINGLE = b"""Hi. This is the qmail-send program at %b.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

"""

_DOUBLE = b"""Hi. This is the qmail-send program at %b.
I tried to deliver a bounce message to this address, but the bounce bounced!

"""
