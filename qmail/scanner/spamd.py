"""spamd's CHECK: score and threshold come back, the message stays as it is.  spamd(8p), its PROTOCOL.

    CHECK SPAMC/1.5 CRLF  Content-length: N CRLF  [User: NAME CRLF]  CRLF  message
    SPAMD/1.1 0 EX_OK CRLF  Spam: True ; 1000.0 / 5.0 CRLF  CRLF

The lines end in CRLF: a bare LF is an error to spamd.  Other codes than 0 are sysexits."""

from __future__ import annotations

from qmail.scanner.conversation import Conversation
from qmail.scanner.verdict import Scored, Verdict, is_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PRINTABLE = bytes(range(33, 127))
_YES, _NO = (b"true", b"yes", b"1"), (b"false", b"no", b"0")


class Spamd(Conversation):
    """How much does it look like spam?"""

    half_close = True

    def __init__(self, engine: bytes, user: bytes = b"") -> None:
        """`user` is whose preferences count; one that would not be one word on its line is left out."""
        super().__init__(engine)
        self._user = b"" if user.translate(None, _PRINTABLE) else user

    def requests(self, size: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
        user = b"User: %b\r\n" % self._user if self._user else b""
        yield b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n%b\r\n" % (size, user)
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
