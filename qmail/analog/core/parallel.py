"""matchup on all cores: parts of a log are matched up by processes that do not know what came before.

Nearly all that happens in a part is between lines of that part.  `Part` does that much, and leaves the other lines for
later, in their places: a delivery that was started before, the end of a message that is older.  The parent, which has
the state, deals with these in order, and then takes over what the part has left open.

    pieces      text, deferred line, text, deferred line, …, text
    numbers     of messages that began in the part, one text for each text of pieces
    begun       numbers of deliveries that began in the part, with their colons

Where a deferred line would need to know what the part has made of a message meanwhile (its number was given out again
with a delivery under way: the log is damaged), the parent forgets the result, and does the part once more itself."""

from __future__ import annotations

import marshal
import os

from qmail.analog.core.matching import BEGUN_TWICE, Matcher, exactly, lex
from ucspi.core import scan, signals, streams
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qmail.analog.core.matching import Delivery, Message

    # pieces, numbers, begun; and what is open: messages, deliveries; warnings
    Result = tuple[list[bytes], list[str], str, dict[str, Message], dict[str, Delivery], dict[str, int]]

PART = 1 << 20  # bytes, about
FIRST = 8 << 20  # bytes before which it is not worth it


class Part(Matcher):
    """A part of a log, by itself."""

    __slots__ = ("_cleared", "begun", "out", "pieces", "places", "text")

    def __init__(self, now: float) -> None:
        super().__init__(now)
        self.out: list[str] = []
        self.text: list[bytes] = []  # since the last deferred line, without what is in `out`
        self.pieces: list[bytes] = []
        self.places: list[int] = []  # how many of the numbers came before a deferred line
        self.begun: set[str] = set()  # deliveries
        self._cleared = False

    def match(self, text: bytes) -> Result:
        """Whole lines, once."""
        start = 0
        while start < len(text):  # in blocks that fit into a processor's cache
            end = text.find(b"\n", start + streams.BLOCK) + 1 or len(text)
            self._block(text[start : end - 1], self.out)
            self._put()
            start = end
        self.pieces.append(b"".join(self.text))
        numbers = list(self._numbers)
        between = zip([0, *self.places], [*self.places, len(numbers)], strict=True)
        texts = [" ".join(numbers[start:end]) for start, end in between]
        return self.pieces, texts, " ".join(self.begun), self._messages, self._deliveries, self.warnings

    def _put(self) -> None:
        self.text.append("".join(self.out).encode("latin-1"))
        self.out.clear()

    def _tidy(self) -> None:
        pass

    def _check(self) -> None:
        self.begun.update(self._started)
        super()._check()

    def _starting(self, fields: list[bytes]) -> str:
        self.begun.add(f"{scan.number(fields[3])}:")
        return super()._starting(fields)

    def _exact(self, line: bytes) -> str:
        line = self._normalize(line)
        fields = lex(line)
        action = fields[1]
        if action in (b"running", b"exiting"):
            self._cleared = True
            self._defer(line)
        elif action == b"delivery":
            key = f"{scan.number(fields[2])}:"
            start = self._deliveries.get(key)
            if start is not None:
                stamp, number, channel, recipient = exactly(start)
                if number not in self._numbers:
                    del self._deliveries[key]
                    begun = f"{stamp} starting delivery {key} msg {number} to {channel} {recipient}"
                    self._defer(begun.encode("latin-1"))
                    self._defer(line)
                    return ""
            elif not self._cleared and key not in self.begun:
                self._defer(line)
                return ""
        elif action in (b"end", b"extra"):
            number = str(scan.number(fields[3 if action == b"end" else 2]))
            if number not in self._numbers:
                self._defer(line)
                return ""
        return super()._exact(line)

    def _defer(self, line: bytes) -> None:
        self._put()
        self.pieces += [b"".join(self.text), line]
        self.text.clear()
        self.places.append(len(self._numbers))


class Sequel(Matcher):
    """Puts parts behind one another."""

    __slots__ = ()

    def take(self, text: bytes, result: Result) -> Iterator[bytes]:
        """Output for the next part, whose text is at hand in case it must be done again."""
        pieces, numbers, begun, messages, deliveries, warnings = result
        if self._conflict(pieces[1::2], numbers, begun):
            yield self.receive(text)
            return
        for i, piece in enumerate(pieces):
            yield self._exact(piece).encode("latin-1") if i % 2 else piece
        for number in self._messages.keys() & dict.fromkeys(" ".join(numbers).split(" ")).keys():
            if any(self._messages.pop(number)[5]):
                self.warn(BEGUN_TWICE)
        self._messages.update(messages)
        self._deliveries.update(deliveries)
        for what, times in warnings.items():
            self.warnings[what] = self.warnings.get(what, 0) + times

    def _conflict(self, deferred: list[bytes], numbers: list[str], begun: str) -> bool:
        """Does a line depend on what the part did with a message or a delivery of the same number?"""
        if not self._deliveries.keys().isdisjoint(begun.split(" ")):
            return True
        before: set[str] = set()  # messages that began before the line
        starts: dict[str, str] = {}
        for line, some in zip(deferred, numbers, strict=False):
            before.update(some.split(" "))
            fields = lex(line)
            if fields[1] == b"starting":
                starts[f"{scan.number(fields[3])}:"] = str(scan.number(fields[5]))
            elif fields[1] == b"delivery":
                key = f"{scan.number(fields[2])}:"
                number = starts.pop(key, None)
                if number is None and key in self._deliveries:
                    number = exactly(self._deliveries[key])[1]
                if number in before:
                    return True
        return False


class Worker:
    """A process that matches up parts: one at a time, length and text in, length and marshalled result out."""

    def __init__(self, now: float, others: Iterable[Worker]) -> None:
        take, self._give = os.pipe()
        self._take, give = os.pipe()
        for fd in (take, give):
            streams.widen(fd)
        self.text = b""  # of the part it is at
        signals.hear_of_children()
        self.pid = os.fork()
        if not self.pid:
            try:
                for fd in (self._give, self._take, *(fd for other in others for fd in (other._give, other._take))):
                    os.close(fd)
                _work(now, take, give)
            finally:
                os._exit(0)
        os.close(take)
        os.close(give)

    def give(self, text: bytes) -> None:
        """Begin with a part."""
        self.text = text
        _send(self._give, text)

    def take(self) -> Result:
        """The result of the part it was given."""
        data = _receive(self._take)
        if data is None:
            raise TemporaryFailure("a process that matches up parts of the log died")
        result: Result = marshal.loads(data)
        return result

    def end(self) -> None:
        """It sees the end of its input."""
        os.close(self._give)
        os.close(self._take)
        os.waitpid(self.pid, 0)


def _work(now: float, take: int, give: int) -> None:
    while (text := _receive(take)) is not None:
        _send(give, marshal.dumps(Part(now).match(text)))


def _send(fd: int, data: bytes) -> None:
    streams.write_all(fd, len(data).to_bytes(8, "big"))
    streams.write_all(fd, data)


def _receive(fd: int) -> bytes | None:
    """None at the end of the input."""
    head = streams.read_all(fd, 8)
    if len(head) < 8:
        return None
    size = int.from_bytes(head, "big")
    data = streams.read_all(fd, size)
    return data if len(data) == size else None


def matched(
    blocks: Iterable[bytes], matcher: Sequel, now: float, first: int = FIRST, part: int = PART
) -> Iterator[bytes]:
    """Output for a log: the first bytes here, the rest on all cores, if there are several."""
    blocks = iter(blocks)
    cores = len(os.sched_getaffinity(0))
    size = 0
    for block in blocks:
        yield matcher.receive(block)
        size += len(block)
        if size >= first and cores > 1:
            yield from _on_all_cores(_parts(matcher.unfinished(), blocks, part), matcher, now, cores)


def _on_all_cores(parts: Iterator[bytes], matcher: Sequel, now: float, cores: int) -> Iterator[bytes]:
    workers: list[Worker] = []
    try:
        for _ in range(cores):
            workers.append(Worker(now, workers))
        turn = 0
        for text in parts:
            if not text.endswith(b"\n"):  # the end of the log, and no line
                break
            worker = workers[turn % cores]
            done = [(worker.text, worker.take())] if worker.text else []
            worker.give(text)  # before the output, which may have to wait for its reader
            for before, result in done:
                yield from matcher.take(before, result)
            turn += 1
        else:
            text = b""
        for worker in workers[turn % cores :] + workers[: turn % cores]:
            if worker.text:
                yield from matcher.take(worker.text, worker.take())
        yield matcher.receive(text)
    finally:
        for worker in workers:
            worker.end()


def _parts(begun: bytes, blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Whole lines, of `size` bytes at least together; at the end a line without its newline, if there is one."""
    held, length = [begun], len(begun)
    for block in blocks:
        held.append(block)
        length += len(block)
        if length >= size and b"\n" in block:
            text = b"".join(held)
            cut = text.rindex(b"\n") + 1
            yield text[:cut]
            held, length = [text[cut:]], len(text) - cut
    text = b"".join(held)
    cut = text.rfind(b"\n") + 1
    if cut:
        yield text[:cut]
    if text[cut:]:
        yield text[cut:]
