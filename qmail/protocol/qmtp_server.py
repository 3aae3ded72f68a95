"""The server's side of QMTP.  qmail-qmtpd(8), http://cr.yp.to/proto/qmtp.txt.

A client sends any number of packages, without waiting for answers:

    netstring( message )  netstring( sender )  netstring( netstring( recipient ) ... )

    message    its first byte says what lines end in: LF, or CR for CR LF, of which each is stored as LF

For each recipient of a package there is one netstring in answer, in their order: K, D or Z and a text for people.

Bytes in, events out (incoming.py); an event that is bytes is to be written.  What is no QMTP ends in netstring's
Malformed or TooLarge, without an answer."""

from __future__ import annotations

from qmail.protocol import incoming
from qmail.protocol.incoming import Block, Close, Event, Open, Recipient, Refused
from qmail.protocol.netstring import Malformed, Reader, Strings, pack
from qmail.protocol.smtp_data import proper_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 999  # bytes of an address
BAD_SENDER = b"Dunacceptable sender (#5.1.7)"
BAD_RECIPIENT = b"553 sorry, I can't handle that recipient (#5.1.3)"


class QueueUnavailable(Exception):
    """There is no queue to put a mail into, and QMTP has no way to say so before the mail has come."""


class Session:
    """One connection."""

    __slots__ = (
        *("_databytes", "_inner", "_lines", "_outcomes", "_reader", "_recipients", "_relayclient", "_sender"),
        *("_size", "_started", "_step", "_unusable"),
    )

    def __init__(self, *, databytes: int = 0, relayclient: bytes | None = None) -> None:
        """As smtp_server.Settings has them."""
        self._databytes, self._relayclient = databytes, relayclient
        self._reader = Reader()
        self._step = 0  # 0 message, 1 sender, 2 recipients
        self._begin()

    def _begin(self) -> None:
        self._started = False
        self._size = 0
        self._lines: CarriageReturns | None = None
        self._sender = b""
        self._unusable = False
        self._inner: Strings | None = None
        self._recipients: list[bytes] = []
        self._outcomes: list[bytes] = []  # for each recipient its refusal; b"" if all depends on the queue

    def receive(self, data: bytes) -> Iterator[Event]:
        """What the next bytes lead to.  Raises Malformed, TooLarge, QueueUnavailable."""
        steps = (self._message, self._from, self._to)
        for piece, ended in self._reader.feed(data):
            yield from steps[self._step](piece, ended)
            if ended:
                self._step = (self._step + 1) % 3
        if self._step == 0 and self._reader.length == 0:
            raise Malformed("a message without its first byte")

    def _message(self, piece: bytes, ended: bool) -> Iterator[Event]:
        if not self._started:
            if piece[:1] not in (b"\n", b"\r"):
                raise Malformed("lines end in LF or CR LF")
            self._started = True
            self._lines = CarriageReturns() if piece[:1] == b"\r" else None
            question = Open()
            yield question
            if not question.answer:
                raise QueueUnavailable
            piece = piece[1:]
        if self._lines is not None:
            piece = self._lines.feed(piece, ended)
        self._size += len(piece)
        if piece and not self._too_big:
            yield Block(piece)

    @property
    def _too_big(self) -> bool:
        return bool(self._databytes) and self._size > self._databytes

    def _from(self, piece: bytes, ended: bool) -> Iterator[Event]:
        self._sender += piece[: LONGEST + 1 - len(self._sender)]
        self._unusable = self._unusable or b"\0" in piece or len(self._sender) > LONGEST
        return iter(())

    def _to(self, piece: bytes, ended: bool) -> Iterator[Event]:
        if self._inner is None:
            whole = self._reader.length
            self._inner = Strings(LONGEST + 1, len(piece) if whole is None else whole)
        for address in self._inner.feed(piece):
            yield from self._recipient(address)
        if ended:
            if not self._inner.between:
                raise Malformed("half a recipient")
            yield from self._close()
            self._begin()

    def _recipient(self, address: bytes) -> Iterator[Event]:
        relayed = self._relayclient is not None
        address += self._relayclient or b""
        refusal = b""
        if len(address) > LONGEST or b"\0" in address:
            refusal = BAD_RECIPIENT
        else:
            question = Recipient(address, self._sender, None, relayed)
            yield question
            refusal = question.answer
        if refusal:
            yield Refused(self._sender, address, refusal)
        else:
            self._recipients.append(address)
        self._outcomes.append(refusal)

    def _close(self) -> Iterator[Event]:
        question = Close(self._sender, self._recipients, self._too_big or self._unusable or not self._recipients)
        yield question
        result = question.answer or b"Kok " + question.accepted
        if self._too_big:
            result = incoming.letter(incoming.TOO_BIG)
        elif self._unusable:
            result = BAD_SENDER
        if self._recipients and not result.startswith(b"K"):
            yield Refused(self._sender, None, result)
        answers = {refusal: pack(incoming.letter(refusal)) for refusal in set(self._outcomes) if refusal}
        answers[b""] = pack(result)
        yield b"".join([answers[refusal] for refusal in self._outcomes])


class CarriageReturns:
    """CR LF to LF, in pieces; any other CR stays."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes, ended: bool) -> bytes:
        """The stored form of the next piece, all of it if it is the last."""
        piece = self._held + piece
        self._held = b""
        if piece.endswith(b"\r") and not ended:
            piece, self._held = piece[:-1], b"\r"
        lines = proper_lines(piece)
        return piece.replace(b"\r\n", b"\n") if lines is None else lines
