"""The server's side of QMQP: one mail from a host that keeps no queue of its own.  qmail-qmqpd(8),
http://cr.yp.to/proto/qmqp.html.

    netstring( netstring( message )  netstring( sender )  netstring( recipient ) ... )

The message has lines that end in LF.  The answer is one netstring: K, D or Z and a text for people.

Bytes in, events out (incoming.py).  What is no QMQP ends in netstring's Malformed or TooLarge, without an answer.
Nobody's right to send is asked for: who may connect may send to anybody."""

from __future__ import annotations

from qmail.protocol.incoming import Block, Close, End, Event, Open, Refused
from qmail.protocol.netstring import Malformed, Reader, pack
from qmail.protocol.qmtp_server import QueueUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 999  # bytes of an address
BAD_ADDRESS = b"Dsorry, I can't accept addresses like that (#5.1.3)"


class Session:
    """One connection."""

    __slots__ = ("_address", "_addresses", "_ended", "_inner", "_messages", "_opened", "_outer", "_unusable")

    def __init__(self) -> None:
        self._outer = Reader()
        self._inner: Reader | None = None
        self._opened = False
        self._messages = 0  # of which there is one, in front of the addresses
        self._address = b""
        self._addresses: list[bytes] = []
        self._unusable = False
        self._ended = False

    def receive(self, data: bytes) -> Iterator[Event]:
        """What the next bytes lead to.  Raises Malformed, TooLarge, QueueUnavailable."""
        if self._ended:
            return
        for piece, ended in self._outer.feed(data):
            if self._inner is None:
                whole = self._outer.length
                self._inner = Reader(len(piece) if whole is None else whole)
            yield from self._inside(self._inner, piece)
            if ended:
                if not self._inner.between or not self._messages or not self._addresses:
                    raise Malformed("the end comes too early")
                yield from self._close()
                return

    def _inside(self, inner: Reader, data: bytes) -> Iterator[Event]:
        for piece, ended in inner.feed(data):
            if not self._messages:
                yield from self._message(piece)
                self._messages += ended
                continue
            self._address += piece[: LONGEST + 1 - len(self._address)]
            if ended:
                self._unusable = self._unusable or len(self._address) > LONGEST or b"\0" in self._address
                self._addresses.append(self._address)
                self._address = b""

    def _message(self, piece: bytes) -> Iterator[Event]:
        if not self._opened:
            self._opened = True
            question = Open()
            yield question
            if not question.answer:
                raise QueueUnavailable
        if piece:
            yield Block(piece)

    def _close(self) -> Iterator[Event]:
        self._ended = True
        sender, recipients = self._addresses[0], self._addresses[1:]
        question = Close(sender, recipients, self._unusable)
        yield question
        result = BAD_ADDRESS if self._unusable else question.answer or b"Kok " + question.accepted
        if not result.startswith(b"K"):
            yield Refused(sender, None, result)
        yield pack(result)
        yield End(0)
