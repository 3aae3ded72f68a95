"""POP3 with an open mailbox: the transaction and update states.  qmail-pop3d(8), RFC 1939.

The core knows number, unique name and size of every message and nothing else.  It takes the client's bytes and gives
replies (bytes) and, where the mailbox itself is wanted, `Retrieve` or `Quit`, which the shell carries out and answers.

As in the original, and unlike RFC 1939: STAT counts deleted messages (but not their bytes), LAST is the highest number
ever DELEted, RETR takes TOP's line limit, and an empty line goes before the dot that ends a message."""

from __future__ import annotations

from qmail.protocol.commandline import Lines
from ucspi.core import scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

OK = b"+OK \r\n"

# The shell's answers.
NO_MAILDIR = b"-ERR this user has no $HOME/Maildir\r\n"
NO_SCAN = b"-ERR unable to scan $HOME/Maildir\r\n"
NO_MEMORY = b"-ERR out of memory\r\n"
NO_MESSAGE = b"-ERR unable to open that message\r\n"
NO_UNLINK = b"-ERR unable to unlink all deleted messages\r\n"

SYNTAX = b"-ERR syntax error\r\n"
FROM_ONE = b"-ERR messages are counted from 1\r\n"
TOO_MANY = b"-ERR not that many messages\r\n"
DELETED = b"-ERR already deleted\r\n"
UNIMPLEMENTED = b"-ERR unimplemented\r\n"

LISTED_AT_ONCE = 1000  # lines of a long listing in one piece, so that 100,000 messages need no megabytes


class Retrieve:
    """The client wants message `index` (from 0): header and `lines` body lines, or with None all of it."""

    __slots__ = ("index", "lines")

    def __init__(self, index: int, lines: int | None) -> None:
        self.index = index
        self.lines = lines


class Quit:
    """The client leaves: the messages whose index is in `deleted` go, and the session is over."""

    __slots__ = ("deleted",)

    def __init__(self, deleted: set[int]) -> None:
        self.deleted = deleted


class Refused(Exception):
    """A message number that does not do; carries the reply."""

    def __init__(self, reply: bytes) -> None:
        super().__init__(reply)
        self.reply = reply


class Session:
    """One client's view of a mailbox, which stays as it was at the start."""

    __slots__ = ("_deleted", "_last", "_lines", "_sizes", "_unique")

    def __init__(self, unique: Callable[[int], bytes], sizes: Sequence[int]) -> None:
        """`unique(index)` is what UIDL shows of a message, `sizes[index]` its length."""
        self._unique = unique
        self._sizes = sizes
        self._deleted: set[int] = set()
        self._last = 0
        self._lines = Lines()

    def receive(self, data: bytes) -> Iterator[bytes | Retrieve | Quit]:
        """Replies and wishes, in order; nothing follows a Quit.  Raises commandline.LineTooLong."""
        for verb, argument in self._lines.receive(data):
            handler = VERBS.get(verb)
            if handler is None:
                yield UNIMPLEMENTED
                continue
            try:
                yield from handler(self, argument)
            except Refused as refusal:
                yield refusal.reply
            if verb == b"quit":
                return

    def _stat(self, argument: bytes) -> Iterator[bytes]:
        size = sum(self._sizes) - sum(self._sizes[i] for i in self._deleted)
        yield b"+OK %d %d\r\n" % (len(self._sizes), size)

    def _list(self, argument: bytes) -> Iterator[bytes]:
        return self._listing(argument, lambda i: b"%d %d\r\n" % (i + 1, self._sizes[i]))

    def _uidl(self, argument: bytes) -> Iterator[bytes]:
        return self._listing(argument, lambda i: b"%d %b\r\n" % (i + 1, self._unique(i)))

    def _listing(self, argument: bytes, line: Callable[[int], bytes]) -> Iterator[bytes]:
        if argument:
            yield b"+OK " + line(self._index(argument))
            return
        yield OK
        total = len(self._sizes)
        for start in range(0, total, LISTED_AT_ONCE):
            numbers = range(start, min(start + LISTED_AT_ONCE, total))
            yield b"".join([line(i) for i in numbers if i not in self._deleted])
        yield b".\r\n"

    def _retrieve(self, argument: bytes) -> Iterator[Retrieve]:
        index = self._index(argument)
        limit = argument.lstrip(b"0123456789").lstrip(b" ")
        yield Retrieve(index, scan.number(limit) if limit[:1].isdigit() else None)

    def _dele(self, argument: bytes) -> Iterator[bytes]:
        index = self._index(argument)
        self._deleted.add(index)
        self._last = max(self._last, index + 1)
        yield OK

    def _rset(self, argument: bytes) -> Iterator[bytes]:
        self._deleted.clear()
        self._last = 0
        yield OK

    def _show_last(self, argument: bytes) -> Iterator[bytes]:
        yield b"+OK %d\r\n" % self._last

    def _noop(self, argument: bytes) -> Iterator[bytes]:
        yield OK

    def _quit(self, argument: bytes) -> Iterator[Quit]:
        yield Quit(self._deleted)

    def _index(self, argument: bytes) -> int:
        """The message that an argument names, from 0.  Junk behind the digits is ignored.  Raises Refused."""
        if not argument[:1].isdigit():
            raise Refused(SYNTAX)
        number = scan.number(argument)
        if not number:
            raise Refused(FROM_ONE)
        if number > len(self._sizes):
            raise Refused(TOO_MANY)
        if number - 1 in self._deleted:
            raise Refused(DELETED)
        return number - 1


VERBS: dict[bytes, Callable[[Session, bytes], Iterator[bytes | Retrieve | Quit]]] = {
    b"quit": Session._quit,
    b"stat": Session._stat,
    b"list": Session._list,
    b"uidl": Session._uidl,
    b"dele": Session._dele,
    b"retr": Session._retrieve,
    b"rset": Session._rset,
    b"last": Session._show_last,
    b"top": Session._retrieve,
    b"noop": Session._noop,
}


class Transfer:
    """A message on its way to the client: LF becomes CR LF, a dot at the start of a line is doubled, and at the end
    come a missing newline, the original's empty line, and the dot.  Works on blocks of any size; holds none of them."""

    __slots__ = ("_at_start", "_in_header", "_left", "complete")

    def __init__(self, lines: int | None) -> None:
        """`lines`: body lines wanted behind the header; None: the whole message."""
        self._left = lines
        self._in_header = lines is not None
        self._at_start = True  # of a line: the next byte may be a dot to double
        self.complete = False  # True when no more of the message is wanted

    def feed(self, block: bytes) -> bytes:
        """What to send for the next block of the message."""
        if self._left is not None:
            block = self._cut(block)
        if not block:
            return b""
        parts = block.split(b"\n.")  # one search; replace makes two
        text = (b"\n..".join(parts) if len(parts) > 1 else block).replace(b"\n", b"\r\n")
        if self._at_start and block.startswith(b"."):
            text = b"." + text
        self._at_start = block.endswith(b"\n")
        return text

    def finish(self) -> bytes:
        """What to send behind the last block."""
        return b"\r\n.\r\n" if self._at_start else b"\r\n\r\n.\r\n"

    def _cut(self, block: bytes) -> bytes:
        """The part of a block that TOP shows."""
        assert self._left is not None
        body = 0
        if self._in_header:
            if self._at_start and block.startswith(b"\n"):
                body = 1
            else:
                body = block.find(b"\n\n") + 2
                if body < 2:
                    return block
            self._in_header = False
        newlines = block.count(b"\n", body)
        if newlines < self._left:
            self._left -= newlines
            return block
        self.complete = True
        rest = block[body:].split(b"\n", self._left)[-1]
        return block[: len(block) - len(rest)]
