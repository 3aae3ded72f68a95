"""The server's side of an SMTP session.  qmail-smtpd(8), RFC 5321; byte for byte what qmail-smtpd says.

Bytes in, events out; no socket, file, clock or environment.  An event is a reply, as bytes to be written, or one of
those of `incoming`, or one more question:

    Own            is this one of our own IP addresses?

Whoever drives the session sets a question's answer before it asks for the next event.  Replies may be gathered and
written together, as long as they are written before the next blocking read (RFC 2920 3.2).

What is new to the original is for clients that say EHLO, which offers it: SIZE, and enhanced status codes."""

from __future__ import annotations

from qmail.protocol import commandline, incoming, smtp_address
from qmail.protocol.incoming import Block, Close, End, Open, Recipient, Refused
from qmail.protocol.smtp_data import BareLF, DataDecoder
from qmail.protocol.smtp_lines import REJECT, LineEnds
from qmail.protocol.smtp_parameters import Parameters
from qmail.protocol.smtp_reply import enhanced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    Verb = Callable[["Session", bytes], Iterable["Event"]]

LONGEST_LINE = 2 << 20  # bytes held without a newline; the original's limit is the memory that softlimit leaves it
MAXHOPS = 100

# Replies without their line ends; some have an enhanced status code that is not in their text.
OK = b"250 ok"
FLUSHED = b"250 flushed"
TRY = b"252 send some mail, i'll try my best"
HOMEPAGE = b"214 notqmail home page: https://notqmail.org"
GO_AHEAD = b"354 go ahead\r\n"
UNIMPLEMENTED = b"502 unimplemented (#5.5.1)"
MAIL_FIRST = b"503 MAIL first (#5.5.1)"
RCPT_FIRST = b"503 RCPT first (#5.5.1)"
SYNTAX = b"555 syntax error (#5.5.4)"
BADMAILFROM = b"553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)"
NO_QUEUE = b"451 qqt failure (#4.3.0)"
LOOPING = b"554 too many hops, this message is looping (#5.4.6)"
# The session ends behind these.
STRAY_NEWLINE = b"451 See https://cr.yp.to/docs/smtplf.html."
TIMEOUT = b"451 timeout (#4.4.2)"
NO_MEMORY = b"421 out of memory (#4.3.0)"
NO_CONTROLS = b"421 unable to read controls (#4.3.0)"
NO_ADDRESSES = b"421 unable to figure out my IP addresses (#4.3.0)"


class Own:
    """Is `ip`, IPv4 as inet_ntop writes it, an address of this host?"""

    __slots__ = ("answer", "ip")

    def __init__(self, ip: bytes) -> None:
        self.ip = ip
        self.answer = False


Event = incoming.Event | Own


class Settings:
    """What the administrator decided: the name and text of the greeting, who may not send, how much."""

    __slots__ = ("badmailfrom", "barelf", "databytes", "greeting", "localiphost", "relayclient")

    def __init__(
        self,
        greeting: bytes,
        *,
        badmailfrom: frozenset[bytes] = frozenset(),
        databytes: int = 0,
        relayclient: bytes | None = None,
        localiphost: bytes | None = None,
        barelf: bytes = REJECT,
    ) -> None:
        """`badmailfrom`: addresses and @domains in lower case.  `databytes`: 0 is no limit.  `relayclient`: for a
        client that may send to anybody, what to put behind each recipient.  `localiphost`: the name to put for our own
        IP addresses in the likes of x@[127.0.0.1].  `barelf`: what a bare newline means, a mode of smtp_lines."""
        self.greeting = greeting
        self.badmailfrom = badmailfrom
        self.databytes = databytes
        self.relayclient = relayclient
        self.localiphost = localiphost
        self.barelf = barelf


# What EHLO offers, in this order: a keyword, and its parameters if it has any.
EXTENSIONS: tuple[Callable[[Settings], bytes], ...] = (
    lambda settings: b"PIPELINING",
    lambda settings: b"8BITMIME",
    lambda settings: b"SIZE %d" % settings.databytes,
    lambda settings: b"ENHANCEDSTATUSCODES",
)


class Session:
    """One connection, from greeting to End."""

    __slots__ = (
        *("_barred", "_data", "_ended", "_extended", "_helo", "_partial", "_recipients", "_refused", "_repair"),
        *("_sender", "_settings"),
    )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._helo: bytes | None = None
        self._extended = False  # the client has said EHLO, not HELO
        self._sender: bytes | None = None  # None: no transaction
        self._barred = False  # the sender is in badmailfrom
        self._recipients: list[bytes] = []
        self._partial = bytearray()  # a command line whose end has not come
        self._data: DataDecoder | None = None  # while the mail comes
        self._repair: LineEnds | None = None  # in front of it, for clients whose lines are repaired
        self._refused = False  # the mail at hand is too big, the rest of it is not worth keeping
        self._ended = False

    def greet(self) -> bytes:
        """The reply that comes before the first command."""
        return b"220 %b ESMTP\r\n" % self._settings.greeting

    def reply(self, text: bytes, status: bytes = b"") -> bytes:
        """A reply as this client is to see it; `status`: the enhanced code where the text has none."""
        return (enhanced(text, status) if self._extended else text) + b"\r\n"

    def receive(self, data: bytes) -> Iterator[Event]:
        """What the next bytes from the client lead to.  Every event must be taken before the next call."""
        at = 0
        while at < len(data) and not self._ended:
            if self._data is not None:
                data, at = data[at:] if at else data, 0
                if self._repair is not None:
                    data = self._repair.feed(data)
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

    def _end(self, reply: bytes, code: int, status: bytes = b"") -> Iterable[Event]:
        self._ended = True
        return self.reply(reply, status), End(code)

    def _unimplemented(self, argument: bytes) -> Iterable[Event]:
        return (self.reply(UNIMPLEMENTED),)

    def _helo_(self, argument: bytes) -> Iterable[Event]:
        self._helo, self._sender, self._extended = argument, None, False
        return (b"250 %b\r\n" % self._settings.greeting,)

    def _ehlo(self, argument: bytes) -> Iterable[Event]:
        self._helo, self._sender, self._extended = argument, None, True
        lines = (self._settings.greeting, *[extension(self._settings) for extension in EXTENSIONS])
        return (b"".join([b"250-%b\r\n" % line for line in lines[:-1]]) + b"250 %b\r\n" % lines[-1],)

    def _mail(self, argument: bytes) -> Iterator[Event]:
        address, rest = yield from self._address(argument)
        if address is None:
            yield self.reply(SYNTAX)
            return
        limit = self._settings.databytes
        if self._extended and limit and Parameters.parse(rest).size > limit:
            yield Refused(address, None, incoming.TOO_BIG)
            yield self.reply(incoming.TOO_BIG)
            return
        self._sender, self._recipients = address, []
        self._barred = self._is_bad(address)  # told at RCPT only, as ever
        yield self.reply(OK, b"2.1.0")

    def _rcpt(self, argument: bytes) -> Iterator[Event]:
        if self._sender is None:
            yield self.reply(MAIL_FIRST)
            return
        address, _rest = yield from self._address(argument)
        if address is None:
            yield self.reply(SYNTAX)
            return
        refusal = BADMAILFROM
        if not self._barred:
            relayclient = self._settings.relayclient
            address += relayclient or b""
            question = Recipient(address, self._sender, self._helo, relayclient is not None)
            yield question
            refusal = question.answer
        if refusal:
            yield Refused(self._sender, address, refusal)
            yield self.reply(refusal)
            return
        self._recipients.append(address)
        yield self.reply(OK, b"2.1.5")

    def _rset(self, argument: bytes) -> Iterable[Event]:
        self._sender = None
        return (self.reply(FLUSHED, b"2.0.0"),)

    def _noop(self, argument: bytes) -> Iterable[Event]:
        return (self.reply(OK, b"2.0.0"),)

    def _vrfy(self, argument: bytes) -> Iterable[Event]:
        return (self.reply(TRY, b"2.5.0"),)

    def _help(self, argument: bytes) -> Iterable[Event]:
        return (self.reply(HOMEPAGE, b"2.0.0"),)

    def _quit(self, argument: bytes) -> Iterable[Event]:
        return self._end(b"221 " + self._settings.greeting, 0, b"2.0.0")

    def _address(self, argument: bytes) -> Generator[Event, None, tuple[bytes | None, bytes]]:
        """The address in an argument, None if it is too long, and what follows it: ESMTP parameters."""
        address, rest = smtp_address.parse(argument)
        name = self._settings.localiphost
        if name is not None and (ip := smtp_address.literal(address)) is not None:
            question = Own(ip)
            yield question
            if question.answer:
                address = address[: address.rindex(b"@") + 1] + name
        return (address if len(address) <= smtp_address.LONGEST else None), rest

    def _is_bad(self, sender: bytes) -> bool:
        bad = self._settings.badmailfrom
        if not bad:
            return False
        sender = sender.lower()
        return sender in bad or (b"@" in sender and sender[sender.rindex(b"@") :] in bad)

    # --- the mail

    def _data_(self, argument: bytes) -> Iterator[Event]:
        if self._sender is None:
            yield self.reply(MAIL_FIRST)
            return
        if not self._recipients:
            yield self.reply(RCPT_FIRST)
            return
        question = Open(self._helo)
        yield question
        if not question.answer:
            yield Refused(self._sender, None, NO_QUEUE)
            self._sender = None
            yield self.reply(NO_QUEUE)
            return
        self._data, self._refused = DataDecoder(), False
        barelf = self._settings.barelf
        self._repair = None if barelf == REJECT else LineEnds(barelf)
        yield GO_AHEAD

    def _take(self, decoder: DataDecoder, data: bytes) -> Iterator[Event]:
        """Decode the next bytes of the mail, ask for its fate if they were the last."""
        try:
            stored = decoder.feed(data)
        except BareLF:
            yield Refused(self._sender, None, STRAY_NEWLINE)
            yield from self._end(STRAY_NEWLINE, 1, b"4.5.2")
            return
        limit = self._settings.databytes
        too_big = bool(limit) and decoder.size > limit
        self._refused = self._refused or too_big
        if stored and not self._refused:
            yield Block(stored)
        if decoder.rest is None:
            return
        assert self._sender is not None
        looping = decoder.hops >= MAXHOPS
        question = Close(self._sender, self._recipients, self._refused or looping)
        yield question
        if not question.answer and not question.refused:
            yield self.reply(b"250 ok %b" % question.accepted, b"2.0.0")
            return
        result = (b"554 " if question.answer[:1] == b"D" else b"451 ") + question.answer[1:]
        refusal = LOOPING if looping else incoming.TOO_BIG if too_big else result
        yield Refused(self._sender, None, refusal)
        yield self.reply(refusal)

    def _leave(self) -> bytes:
        """Back to commands: the transaction is over.  Returns what came behind the mail."""
        assert self._data is not None and self._data.rest is not None
        rest = self._data.rest
        self._data = self._repair = self._sender = None
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
