"""clamd's INSTREAM: the message goes over the connection, so that clamd needs no right to read any file.  clamd(8).

    zINSTREAM 0x00  ( length message )*  0x00000000          length: 4 bytes, high one first
    stream: OK 0x00 | stream: NAME FOUND 0x00 | TEXT ERROR 0x00

Over its StreamMaxLength clamd answers and closes while it is still sent to."""

from __future__ import annotations

from qmail.scanner.conversation import Conversation
from qmail.scanner.verdict import Infected, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Clamd(Conversation):
    """Is there a virus in it?"""

    def requests(self, size: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
        head = b"zINSTREAM\0"
        for block in blocks:
            yield b"".join((head, len(block).to_bytes(4, "big"), block))
            head = b""
        yield head + bytes(4)

    def judge(self) -> Verdict:
        replies = [reply for reply in self.said.replace(b"\n", b"\0").split(b"\0") if reply]
        for reply in replies:  # one that found something is right, whatever others say
            if reply.endswith(b" FOUND"):
                return Infected(self.engine, reply[:-6].rpartition(b": ")[2] or b"unknown")
        for reply in replies:
            if not reply.endswith(b": OK"):
                return self.trouble(reply[:200])
        return Verdict(self.engine) if replies else self.rubbish()


class Ask(Conversation):
    """A command without a message: PING, VERSION; `said` is the answer, `answer` the same without its end."""

    def __init__(self, engine: bytes, command: bytes) -> None:
        super().__init__(engine)
        self._command = command

    def requests(self, size: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
        yield b"z%b\0" % self._command

    @property
    def answer(self) -> bytes:
        return self.said.rstrip(b"\0\n")

    def judge(self) -> Verdict:
        return Verdict(self.engine)
