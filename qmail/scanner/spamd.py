"""spamd's CHECK and PROCESS: score and threshold come back, and the message as its settings rewrite it.  spamd(8p).

    CHECK SPAMC/1.5 CRLF  Content-length: N CRLF  [User: NAME CRLF]  CRLF  message
    SPAMD/1.1 0 EX_OK CRLF  Spam: True ; 1000.0 / 5.0 CRLF  CRLF

    PROCESS SPAMC/1.5 CRLF  and so on
    SPAMD/1.1 0 EX_OK CRLF  Content-length: N CRLF  Spam: True ; 1000.0 / 5.0 CRLF  CRLF  message

The lines end in CRLF: a bare LF is an error to spamd.  Other codes than 0 are sysexits."""

from __future__ import annotations

from qmail.scanner.conversation import Conversation
from qmail.scanner.verdict import Scored, Verdict, is_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qmail.scanner.store import Store

_PRINTABLE = bytes(range(33, 127))
_YES, _NO = (b"true", b"yes", b"1"), (b"false", b"no", b"0")


class Spamd(Conversation):
    """How much does it look like spam?"""

    half_close = True
    command = b"CHECK"

    def __init__(self, engine: bytes, user: bytes = b"") -> None:
        """`user` is whose preferences count; one that would not be one word on its line is left out."""
        super().__init__(engine)
        self._user = b"" if user.translate(None, _PRINTABLE) else user

    def requests(self, size: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
        user = b"User: %b\r\n" % self._user if self._user else b""
        yield b"%b SPAMC/1.5\r\nContent-length: %d\r\n%b\r\n" % (self.command, size, user)
        yield from blocks

    def judge(self) -> Verdict:
        first, *lines = self.said.split(b"\r\n")
        words = first.split(b" ", 2)
        if len(words) < 3 or not words[0].startswith(b"SPAMD/") or not words[1].isdigit():
            return self.rubbish()
        if int(words[1][:9]):
            return self.trouble(first[:200])
        results = {line[5:].strip() for line in lines if line[:5].lower() == b"spam:"}
        if len(results) != 1 or any(line.startswith(b"SPAMD/") for line in lines):
            return self.rubbish()  # none, or two that differ
        return self._score(results.pop())

    def _score(self, result: bytes) -> Verdict:
        said, _, numbers = result.partition(b";")
        score, _, required = [part.strip() for part in numbers.partition(b"/")]
        word = said.strip().lower()
        if word not in _YES + _NO or not is_number(score) or not is_number(required):
            return self.rubbish()
        return Scored(self.engine, word in _YES, score, required)


class Rewriting(Spamd):
    """The same, and the message comes back with spamd's fields and report, as its settings have them."""

    command = b"PROCESS"
    REPORT = 1 << 20  # bytes that it may add

    def __init__(self, engine: bytes, user: bytes, rewritten: Store) -> None:
        """The message comes into `rewritten`, and is to be used if the verdict is a score."""
        super().__init__(engine, user)
        self._rewritten = rewritten
        self._room = self.REPORT
        self._in_body = False

    def requests(self, size: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
        self._room = size + self.REPORT
        return super().requests(size, blocks)

    def receive(self, data: bytes) -> bool:
        """As Conversation; raises OSError if the message cannot be kept."""
        if not self._in_body:
            before = bytes(self._said[-3:])  # the empty line may come in pieces
            empty = (before + data).find(b"\r\n\r\n")
            self._in_body = empty >= 0
            end = empty + 4 - len(before) if self._in_body else len(data)
            head, data = data[:end], data[end:]
            if super().receive(head) or not self._in_body:
                return self.overlong
        if data:
            self._rewritten.write(data)
        self.overlong = self._rewritten.size > self._room
        return self.overlong

    def judge(self) -> Verdict:
        verdict = super().judge()
        if not isinstance(verdict, Scored):
            return verdict
        fields = (line.partition(b":") for line in self.said.split(b"\r\n"))
        lengths = {value.strip() for name, _, value in fields if name.lower() == b"content-length"}
        if not self._rewritten.size or lengths != {b"%d" % self._rewritten.size}:
            return self.trouble(b"the message it returns has another length than it says")
        return verdict
