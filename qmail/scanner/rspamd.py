"""rspamd's /checkv2: the message is posted, JSON comes back.  rspamd's protocol documentation.

    POST /checkv2 HTTP/1.0 CRLF  Content-Length: N CRLF  From: ... IP: ... Rcpt: ... CRLF  CRLF  message
    HTTP/1.1 200 OK CRLF ... CRLF  {"action": "add header", "score": 7.5, "required_score": 15.0, ...}

Spam is what rspamd would have marked or refused; "greylist" and "soft reject" ask for another try, which is the
business of others."""

from __future__ import annotations

from qmail.scanner.conversation import Conversation
from qmail.scanner.verdict import Scored, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SPAM = ("add header", "rewrite subject", "reject", "quarantine", "discard")
NOT_SPAM = ("no action", "greylist", "soft reject")
_VISIBLE = bytes(range(33, 127))


class Rspamd(Conversation):
    """How much does it look like spam?"""

    LIMIT = 1 << 20  # symbols and all

    def __init__(self, engine: bytes, sender: bytes, recipients: Sequence[bytes], ip: bytes) -> None:
        super().__init__(engine)
        self._whole = -1  # bytes of the answer, once that is known
        named = [(b"From", sender), (b"IP", ip), *((b"Rcpt", recipient) for recipient in recipients[:100])]
        # What would not be one word on its line is left out: an address may hold any byte.
        self._fields = [(name, value) for name, value in named if value and not value.translate(None, _VISIBLE)]

    def requests(self, size: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
        fields = b"".join([b"%b: %b\r\n" % field for field in self._fields])
        yield b"POST /checkv2 HTTP/1.0\r\nContent-Length: %d\r\n%b\r\n" % (size, fields)
        yield from blocks

    def complete(self) -> bool:
        if self._whole < 0 and (end := self._said.find(b"\r\n\r\n")) >= 0:
            length = _length(bytes(self._said[:end]))
            self._whole = self.LIMIT if length is None else end + 4 + length
        return 0 <= self._whole <= len(self._said)

    def judge(self) -> Verdict:
        import json  # only where there is an rspamd

        head, _, body = self.said.partition(b"\r\n\r\n")
        words = head.partition(b"\r\n")[0].split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
            return self.rubbish()
        if words[1] != b"200":
            return self.trouble(b" ".join(words)[:200])
        length = _length(head)
        if length is not None and len(body) != length:
            return self.trouble(b"the answer has another length than it says")
        try:
            return self._score(json.loads(body))
        except (ValueError, RecursionError):
            return self.rubbish()

    def _score(self, told: object) -> Verdict:
        if not isinstance(told, dict):
            return self.rubbish()
        action, score, required = told.get("action"), _number(told.get("score")), _number(told.get("required_score"))
        if action not in SPAM + NOT_SPAM or not score or not required:
            return self.rubbish()
        return Scored(self.engine, action in SPAM, score, required)


def _number(value: object) -> bytes:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9:  # NaN is not
        return b"%.1f" % value
    return b""


def _length(head: bytes) -> int | None:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value.strip()[:18])
    return None
