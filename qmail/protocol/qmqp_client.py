"""QMQP, the client's side: one message and its envelope to a server that queues it.  http://cr.yp.to/proto/qmqp.html

request    netstring( netstring(message) netstring(sender) netstring(recipient)* )
reply      netstring( K | Z | D  text )          the first of these three bytes decides, as in the original"""

from __future__ import annotations

from qmail.protocol import netstring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

VERDICTS = b"KZD"
LONGEST_REPLY = 65536  # bytes before a verdict; whoever sends more has none


class NoVerdict(Exception):
    """The server talks and says nothing."""


def request(message: Sequence[bytes], sender: bytes, recipients: Iterable[bytes]) -> list[bytes]:
    """What to send, in pieces: those of the message are not copied."""
    before = b"%d:" % sum(map(len, message))
    after = b"," + b"".join(map(netstring.pack, (sender, *recipients)))
    size = len(before) + sum(map(len, message)) + len(after)
    return [b"%d:%b" % (size, before), *message, after + b","]


class Reply:
    """Bytes from the server in, verdict out: b"K", b"Z" or b"D"."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen = 0

    def feed(self, data: bytes) -> bytes:
        """The verdict, or b"" while there is none.  Raises NoVerdict."""
        verdict = data.translate(None, _OTHERS)[:1]
        self._seen += len(data)
        if not verdict and self._seen > LONGEST_REPLY:
            raise NoVerdict
        return verdict


_OTHERS = bytes(byte for byte in range(256) if byte not in VERDICTS)
