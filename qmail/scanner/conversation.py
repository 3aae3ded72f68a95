"""A question to an engine, and its answer: no sockets, no clock, no files.

conversation = Clamd(b"clamdscan")
for data in conversation.requests(size, blocks): ...        what to send
conversation.receive(data)                                  True: the answer is complete
conversation.verdict()                                      after that, or at the end of the connection"""

from __future__ import annotations

from qmail.scanner.verdict import Trouble, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NO_ANSWER = b"closed the connection without an answer"


class Conversation:
    """What all engines have in common.  Whatever the other side sends, no more than LIMIT bytes of it are kept."""

    LIMIT = 65536
    half_close = False  # does the engine want to see the end of the request?

    def __init__(self, engine: bytes) -> None:
        self.engine = engine
        self._said = bytearray()
        self.overlong = False

    def requests(self, size: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """What to send, for a message of `size` bytes."""
        raise NotImplementedError

    def receive(self, data: bytes) -> bool:
        """Take what came.  Returns True when nothing more is expected."""
        self._said += data
        self.overlong = len(self._said) > self.LIMIT
        return self.overlong or self.complete()

    @property
    def said(self) -> bytes:
        """All that came."""
        return bytes(self._said)

    def complete(self) -> bool:
        """Is the answer all there, before the engine closes the connection?"""
        return False

    def verdict(self) -> Verdict:
        """What was said, taken for all there is to say."""
        if self.overlong:
            return self.trouble(b"the answer is too long")
        return self.judge() if self.said else self.trouble(NO_ANSWER)

    def judge(self) -> Verdict:
        """As verdict, of an answer that is neither empty nor too long."""
        raise NotImplementedError

    def trouble(self, why: bytes) -> Trouble:
        """No verdict, because of this."""
        return Trouble(self.engine, why)

    def rubbish(self) -> Trouble:
        """No verdict: nobody knows what that answer means."""
        return self.trouble(b"what does it mean: " + self.said[:100])
