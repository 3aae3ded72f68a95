"""SMTP client: one message handed to one host, and the report about it.  RFC 5321 as qmail-remote(8) speaks it.

    Dialogue.receive(bytes from the host) yields what to do next: bytes to send, or BODY, the message and its final dot
    Dialogue.report   items that end in 0x00, for qmail-rspawn: r, h or s per recipient, then one K, Z or D
    Dialogue.finished no more is to be received; the report is complete

EHLO, then HELO if the host does not like it; MAIL, RCPT and DATA in one go where PIPELINING is offered (RFC 2920), else
in lock-step; BODY=8BITMIME where that is offered and the message needs it (RFC 6152).  No sockets, files or clock here:
the shell sends, tells `dot_sent` when the final dot may be on its way, and `lost` when the connection is gone.

A reply's code is its first three bytes taken as digits, whatever they are, and a 5xx greeting is temporary, both as in
the original.  What a hostile host can make us hold is bounded."""

from __future__ import annotations

from qmail.core import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    Steps = Generator["bytes | Body", "Reply", None]

TEXT = 5000  # bytes of a reply that are shown in a report
GROUP = 100  # commands sent without waiting: what host and network can hold while neither side reads
ENDLESS = 1 << 20  # bytes of one reply; whoever sends more does not want to talk


class Body:
    """The message is to be sent now, with the dot that ends it."""

    __slots__ = ()


BODY = Body()


class Reply:
    """One reply, of one line or more."""

    __slots__ = ("code", "text")

    def __init__(self, code: int, text: bytes) -> None:
        self.code = code
        self.text = text  # all lines, without carriage returns, at most TEXT bytes

    @property
    def letter(self) -> bytes:
        """K, Z or D: accepted, try again, never."""
        return b"D" if self.code >= 500 else b"Z" if self.code >= 400 else b"K"


class EndlessReply(Exception):
    """A reply longer than anybody means."""


class ReplyReader:
    """Bytes in, replies out.  Keeps TEXT bytes at most, and gives up after ENDLESS."""

    __slots__ = ("_code", "_column", "_first", "_last", "_size", "_text")

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._code = self._column = self._size = 0
        self._first, self._last = True, False
        self._text = b""

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Take the next bytes, yield every reply that is complete.  Raises EndlessReply."""
        at = 0
        while at < len(data):
            start = at
            if not self._column and data.find(b"\n", at + 3) >= 0:
                at = self._line(data, at)
            else:
                at = self._number(data, at) if self._column < 3 else self._rest(data, at)
            self._keep(data[start:at])
            if self._column:
                continue
            if self._last:
                reply = Reply(self._code & 0xFFFFFFFFFFFFFFFF, self._text.replace(b"\0", b"?"))
                self._begin()
                yield reply

    def _line(self, data: bytes, at: int) -> int:
        """A line that is all there, as most are: what the other two make of it in four steps."""
        if self._first:
            hundreds, tens, ones = data[at : at + 3]
            self._code = hundreds * 100 + tens * 10 + ones - 48 * 111
            self._first = False
        self._last = data[at + 3] != 0x2D
        return data.find(b"\n", at + 3) + 1

    def _number(self, data: bytes, at: int) -> int:
        """One of a line's first three bytes; only those of the first line count."""
        if self._first:
            self._code = self._code * 10 + data[at] - 48
        self._column += 1
        return at + 1

    def _rest(self, data: bytes, at: int) -> int:
        """The fourth byte, which tells whether more lines follow, and all behind it."""
        if self._column == 3:
            self._column = 4
            self._last = data[at] != 0x2D
        end = data.find(b"\n", at)
        if end < 0:
            return len(data)
        self._column, self._first = 0, False
        return end + 1

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > ENDLESS:
            raise EndlessReply
        room = TEXT - len(self._text)
        if room:
            self._text += piece.replace(b"\r", b"")[:room]


class _Ended(Exception):
    """The conversation is over, with this to report."""

    def __init__(self, text: bytes, reply: Reply | None = None) -> None:
        super().__init__(text)
        self.text = text + b".\n" + _said(reply)


def _said(reply: Reply | None) -> bytes:
    return b"Remote host said: " + reply.text if reply else b""


def extensions(reply: Reply) -> frozenset[bytes]:
    """The keywords of an EHLO reply, in capitals: the first word of each line but the first."""
    words = (line[4:].split() for line in reply.text.split(b"\n")[1:])
    return frozenset(word[0].upper() for word in words if word)


def mailbox(path: bytes) -> bytes:
    """An address as MAIL and RCPT take it: the local part quoted if it must be, the host as it is."""
    local, host = address.split(path)
    return path if host is None else b"%b@%b" % (address.quote_local(local), host)


class Dialogue:
    """One connection to `partner` (its address, for the report), on which one message is handed over.

    `eightbit`: the message has bytes above 127.  `replies` counts what came, so that the shell knows who is alive."""

    __slots__ = (
        *("_answered", "_commands", "_critical", "_group", "_reader", "_sent", "_steps", "_verdict"),
        *("eightbit", "finished", "helo", "partner", "recipients", "replies", "report", "sender"),
    )

    def __init__(
        self, partner: bytes, helo: bytes, sender: bytes, recipients: Sequence[bytes], *, eightbit: bool = False
    ) -> None:
        self.partner, self.helo = partner, helo
        self.sender, self.recipients = sender, recipients
        self.eightbit = eightbit
        self.report = b""
        self.replies = 0
        self.finished = False
        self._critical = False
        self._verdict = b""
        self._commands: list[bytes] = []
        self._group = 1  # commands that go out together
        self._sent = self._answered = 0  # of _commands
        self._reader = ReplyReader()
        self._steps = self._converse()
        next(self._steps)

    def receive(self, data: bytes) -> Iterator[bytes | Body]:
        """Take what the host sent (b"": it hung up); yield what to send, each before the next is asked for."""
        if not data:
            self.lost()
        try:
            for reply in self._reader.feed(data):
                if self.finished:
                    return
                self.replies += 1
                output = self._steps.send(reply)
                if output:
                    yield output
        except EndlessReply:
            self.lost()

    def dot_sent(self) -> None:
        """From here until the reply, nobody can know whether the host has the message."""
        self._critical = True

    def lost(self) -> None:
        """The connection is gone, or the host too slow."""
        doubt = b"Possible duplicate! " if self._critical else b""
        died = b"ZConnected to %b but connection died. %b(#4.4.2)\n" % (self.partner, doubt)
        self.give_up(self._verdict or died)

    def give_up(self, report: bytes) -> None:
        """End with this report, unless there is a verdict already: a QUIT that fails changes nothing."""
        if not self.finished:
            self.report += report + b"\0"
            self.finished = True

    def _converse(self) -> Steps:
        try:
            yield from self._open()
            yield from self._hand_over()
        except _Ended as end:
            self._verdict = end.text
            yield from self._hear_out()
            self.give_up(end.text)
        yield b"QUIT\r\n"

    def _open(self) -> Steps:
        """Greetings.  EHLO first, HELO for a host that does not know it (RFC 5321 3.2)."""
        reply = yield b""  # the host speaks first
        if reply.code != 220:
            raise _Ended(b"ZConnected to %b but greeting failed" % self.partner, reply)
        offered = yield from self._greet()
        body = b" BODY=8BITMIME" if self.eightbit and b"8BITMIME" in offered else b""
        self._commands = [b"MAIL FROM:<%b>%b\r\n" % (mailbox(self.sender), body)]
        self._commands += [b"RCPT TO:<%b>\r\n" % mailbox(recipient) for recipient in self.recipients]
        self._commands.append(b"DATA\r\n")
        self._group = GROUP if b"PIPELINING" in offered else 1

    def _greet(self) -> Generator[bytes | Body, Reply, frozenset[bytes]]:
        """Say who we are; return the extensions offered."""
        reply = yield b"EHLO %b\r\n" % self.helo
        if reply.code == 250:
            return extensions(reply)
        reply = yield b"HELO %b\r\n" % self.helo
        if reply.code != 250:
            raise self._nameless(reply)
        return frozenset()

    def _nameless(self, reply: Reply) -> Exception:
        return _Ended(b"ZConnected to %b but my name was rejected" % self.partner, reply)

    def _answer(self) -> Generator[bytes | Body, Reply, Reply]:
        """The reply to the next command, which goes out, with those that may follow it at once, if it has not yet."""
        output = b""
        if self._answered == self._sent:
            output = b"".join(self._commands[self._sent : self._sent + self._group])
            self._sent = min(self._sent + self._group, len(self._commands))
        reply = yield output
        self._answered += 1
        return reply

    def _hand_over(self) -> Steps:
        reply = yield from self._answer()
        if reply.code >= 400:
            raise _Ended(b"%bConnected to %b but sender was rejected" % (reply.letter, self.partner), reply)
        yield from self._name_recipients()
        reply = yield from self._answer()
        if reply.code >= 400:
            raise _Ended(b"%b%b failed on DATA command" % (reply.letter, self.partner), reply)
        reply = yield BODY
        self._critical = False
        what = b"failed after I sent the message" if reply.code >= 400 else b"accepted message"
        raise _Ended(b"%b%b %b" % (reply.letter, self.partner, what), reply)

    def _name_recipients(self) -> Steps:
        accepted = False
        for _ in self.recipients:
            reply = yield from self._answer()
            if reply.code < 400:
                self.report += b"r\0"
                accepted = True
            else:
                letter = b"h" if reply.code >= 500 else b"s"
                self.report += b"%b%b does not like recipient.\n%b\0" % (letter, self.partner, _said(reply))
        if not accepted:  # D even if all are to be tried again: the items before it say so
            raise _Ended(b"DGiving up on %b" % self.partner)

    def _hear_out(self) -> Steps:
        """The replies to what went out together with the command that ended it all.

        If the host goes on with DATA all the same, it gets an empty message, to nobody (RFC 2920 3.1): were it QUIT,
        that would be the message."""
        while self._answered < self._sent:
            reply = yield from self._answer()
            if self._answered == len(self._commands) and reply.code < 400:
                yield b".\r\n"
