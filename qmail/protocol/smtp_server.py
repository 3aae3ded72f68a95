"""The server's side of an SMTP session.  qmail-smtpd(8), RFC 5321; byte for byte what qmail-smtpd says.

Bytes in, events out; no socket, file, clock or environment.  An event is a reply, as bytes to be written, or one of:

    Own            question: is this one of our own IP addresses?
    Recipient      question: may mail for this address come in?
    Open           question: start a mail in the queue (and write the trace line)?
    Block          the next bytes of the mail
    Close          question: this was all; what does the queue say?
    End            the session is over, with this exit code; whatever else the client sent is dropped

Whoever drives the session sets a question's answer before it asks for the next event.  Replies may be gathered and
written together, as long as they are written before the next blocking read (RFC 2920 3.2)."""

from __future__ import annotations

from qmail.protocol import commandline, smtp_address
from qmail.protocol.smtp_data import BareLF, DataDecoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    Verb = Callable[["Session", bytes], Iterable["Event"]]

LONGEST_LINE = 2 << 20  # bytes held without a newline; the original's limit is the memory that softlimit leaves it
MAXHOPS = 100
KEYWORDS = (b"PIPELINING", b"8BITMIME")  # what EHLO offers

OK = b"250 ok\r\n"
FLUSHED = b"250 flushed\r\n"
TRY = b"252 send some mail, i'll try my best\r\n"
HOMEPAGE = b"214 notqmail home page: https://notqmail.org\r\n"
GO_AHEAD = b"354 go ahead\r\n"
UNIMPLEMENTED = b"502 unimplemented (#5.5.1)\r\n"
MAIL_FIRST = b"503 MAIL first (#5.5.1)\r\n"
RCPT_FIRST = b"503 RCPT first (#5.5.1)\r\n"
SYNTAX = b"555 syntax error (#5.5.4)\r\n"
BADMAILFROM = b"553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)\r\n"
NO_GATEWAY = b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\r\n"
NO_QUEUE = b"451 qqt failure (#4.3.0)\r\n"
LOOPING = b"554 too many hops, this message is looping (#5.4.6)\r\n"
TOO_BIG = b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"
# The session ends behind these.
STRAY_NEWLINE = b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"
TIMEOUT = b"451 timeout (#4.4.2)\r\n"
NO_MEMORY = b"421 out of memory (#4.3.0)\r\n"
NO_CONTROLS = b"421 unable to read controls (#4.3.0)\r\n"
NO_ADDRESSES = b"421 unable to figure out my IP addresses (#4.3.0)\r\n"


class Own:
    """Is `ip`, IPv4 as inet_ntop writes it, an address of this host?"""

    __slots__ = ("answer", "ip")

    def __init__(self, ip: bytes) -> None:
        self.ip = ip
        self.answer = False


class Recipient:
    """May mail for `address` come in?"""

    __slots__ = ("address", "answer")

    def __init__(self, address: bytes) -> None:
        self.address = address
        self.answer = False


class Open:
    """Start a mail.  `helo`: what the client called itself, None if it did not.  Answer False if there is no queue."""

    __slots__ = ("answer", "helo")

    def __init__(self, helo: bytes | None) -> None:
        self.helo = helo
        self.answer = False


class Block:
    """The next bytes of the mail, in the form to be stored."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Close:
    """The mail is complete; if `refused` it must not be queued, whatever happens.

    The answer is the queue's result (qqtable), and if that is empty, what stands behind "250 ok"."""

    __slots__ = ("accepted", "answer", "recipients", "refused", "sender")

    def __init__(self, sender: bytes, recipients: list[bytes], refused: bool) -> None:
        self.sender = sender
        self.recipients = recipients
        self.refused = refused
        self.answer = b"Zqq internal bug (#4.3.0)"
        self.accepted = b""


class End:
    """The session is over."""

    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        self.code = code


Event = bytes | Own | Recipient | Open | Block | Close | End


class Settings:
    """What the administrator decided: the name and text of the greeting, who may not send, how much."""

    __slots__ = ("badmailfrom", "databytes", "greeting", "localiphost", "relayclient")

    def __init__(
        self,
        greeting: bytes,
        *,
        badmailfrom: frozenset[bytes] = frozenset(),
        databytes: int = 0,
        relayclient: bytes | None = None,
        localiphost: bytes | None = None,
    ) -> None:
        """`badmailfrom`: addresses and @domains in lower case.  `databytes`: 0 is no limit.  `relayclient`: for a
        client that may send to anybody, what to put behind each recipient.  `localiphost`: the name to put for our own
        IP addresses in the likes of x@[127.0.0.1]."""
        self.greeting = greeting
        self.badmailfrom = badmailfrom
        self.databytes = databytes
        self.relayclient = relayclient
        self.localiphost = localiphost


class Session:
    """One connection, from greeting to End."""

    __slots__ = ("_barred", "_data", "_ended", "_helo", "_partial", "_recipients", "_refused", "_sender", "_settings")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._helo: bytes | None = None
        self._sender: bytes | None = None  # None: no transaction
        self._barred = False  # the sender is in badmailfrom
        self._recipients: list[bytes] = []
        self._partial = bytearray()  # a command line whose end has not come
        self._data: DataDecoder | None = None  # while the mail comes
        self._refused = False  # the mail at hand is too big, the rest of it is not worth keeping
        self._ended = False

    def greet(self) -> bytes:
        """The reply that comes before the first command."""
        return b"220 %b ESMTP\r\n" % self._settings.greeting

    def receive(self, data: bytes) -> Iterator[Event]:
        """What the next bytes from the client lead to.  Every event must be taken before the next call."""
        at = 0
        while at < len(data) and not self._ended:
            if self._data is not None:
                data, at = data[at:] if at else data, 0
                yield from self._take(self._data, data)
                data = self._leave() if self._data.rest is not None else b""
                continue
            newline = data.find(b"\n", at)
            if newline < 0:
                yield from self._keep(data[at:])
                return
            line = data[at:newline]
            at = newline + 1
            if self._partial:
                line = bytes(self._partial) + line
                self._partial.clear()
            if len(line) > LONGEST_LINE:
                yield from self._end(NO_MEMORY, 1)
                return
            yield from self._obey(line)

    # --- commands

    def _keep(self, piece: bytes) -> Iterable[Event]:
        self._partial += piece
        return self._end(NO_MEMORY, 1) if len(self._partial) > LONGEST_LINE else ()

    def _obey(self, line: bytes) -> Iterable[Event]:
        verb, argument = commandline.split(line)
        return VERBS.get(verb, Session._unimplemented)(self, argument)

    def _end(self, reply: bytes, code: int) -> Iterable[Event]:
        self._ended = True
        return reply, End(code)

    def _unimplemented(self, argument: bytes) -> Iterable[Event]:
        return (UNIMPLEMENTED,)

    def _helo_(self, argument: bytes) -> Iterable[Event]:
        self._helo, self._sender = argument, None
        return (b"250 %b\r\n" % self._settings.greeting,)

    def _ehlo(self, argument: bytes) -> Iterable[Event]:
        self._helo, self._sender = argument, None
        lines = (self._settings.greeting, *KEYWORDS)
        return (b"".join([b"250-%b\r\n" % line for line in lines[:-1]]) + b"250 %b\r\n" % lines[-1],)

    def _mail(self, argument: bytes) -> Iterator[Event]:
        address = yield from self._address(argument)
        if address is None:
            yield SYNTAX
            return
        self._sender, self._recipients = address, []
        self._barred = self._is_bad(address)  # told at RCPT only, as ever
        yield OK

    def _rcpt(self, argument: bytes) -> Iterator[Event]:
        if self._sender is None:
            yield MAIL_FIRST
            return
        address = yield from self._address(argument)
        if address is None:
            yield SYNTAX
            return
        if self._barred:
            yield BADMAILFROM
            return
        if self._settings.relayclient is not None:
            address += self._settings.relayclient
        else:
            question = Recipient(address)
            yield question
            if not question.answer:
                yield NO_GATEWAY
                return
        self._recipients.append(address)
        yield OK

    def _rset(self, argument: bytes) -> Iterable[Event]:
        self._sender = None
        return (FLUSHED,)

    def _noop(self, argument: bytes) -> Iterable[Event]:
        return (OK,)

    def _vrfy(self, argument: bytes) -> Iterable[Event]:
        return (TRY,)

    def _help(self, argument: bytes) -> Iterable[Event]:
        return (HOMEPAGE,)

    def _quit(self, argument: bytes) -> Iterable[Event]:
        return self._end(b"221 %b\r\n" % self._settings.greeting, 0)

    def _address(self, argument: bytes) -> Generator[Event, None, bytes | None]:
        """The address in an argument, None if it is too long.  What follows it (SIZE=…) is for later extensions."""
        address, _parameters = smtp_address.parse(argument)
        name = self._settings.localiphost
        if name is not None and (ip := smtp_address.literal(address)) is not None:
            question = Own(ip)
            yield question
            if question.answer:
                address = address[: address.rindex(b"@") + 1] + name
        return address if len(address) <= smtp_address.LONGEST else None

    def _is_bad(self, sender: bytes) -> bool:
        bad = self._settings.badmailfrom
        if not bad:
            return False
        sender = sender.lower()
        return sender in bad or (b"@" in sender and sender[sender.rindex(b"@") :] in bad)

    # --- the mail

    def _data_(self, argument: bytes) -> Iterator[Event]:
        if self._sender is None:
            yield MAIL_FIRST
            return
        if not self._recipients:
            yield RCPT_FIRST
            return
        question = Open(self._helo)
        yield question
        if not question.answer:
            self._sender = None
            yield NO_QUEUE
            return
        self._data, self._refused = DataDecoder(), False
        yield GO_AHEAD

    def _take(self, decoder: DataDecoder, data: bytes) -> Iterator[Event]:
        """Decode the next bytes of the mail, ask for its fate if they were the last."""
        try:
            stored = decoder.feed(data)
        except BareLF:
            yield from self._end(STRAY_NEWLINE, 1)
            return
        limit = self._settings.databytes
        too_big = limit and decoder.size > limit
        self._refused = self._refused or bool(too_big)
        if stored and not self._refused:
            yield Block(stored)
        if decoder.rest is None:
            return
        assert self._sender is not None
        looping = decoder.hops >= MAXHOPS
        question = Close(self._sender, self._recipients, self._refused or looping)
        yield question
        if not question.answer and not question.refused:
            yield b"250 ok %b\r\n" % question.accepted
        elif looping:
            yield LOOPING
        elif too_big:
            yield TOO_BIG
        else:
            yield (b"554 " if question.answer[:1] == b"D" else b"451 ") + question.answer[1:] + b"\r\n"

    def _leave(self) -> bytes:
        """Back to commands: the transaction is over.  Returns what came behind the mail."""
        assert self._data is not None and self._data.rest is not None
        rest = self._data.rest
        self._data = self._sender = None
        self._recipients = []
        return rest


VERBS: dict[bytes, Verb] = {
    b"helo": Session._helo_,
    b"ehlo": Session._ehlo,
    b"mail": Session._mail,
    b"rcpt": Session._rcpt,
    b"data": Session._data_,
    b"rset": Session._rset,
    b"noop": Session._noop,
    b"vrfy": Session._vrfy,
    b"help": Session._help,
    b"quit": Session._quit,
}
