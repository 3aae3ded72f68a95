"""What is in the queue, for people and their scripts to look at.  qmail-qread(8), qmail-qctl(8).

Reads only.  Messages come and go meanwhile: one that vanishes between two looks is no error, but for the reader of the
old text form, who is told so as ever."""

from __future__ import annotations

import os

from qmail.core import envelope, hold, queuefiles
from qmail.core.datestamp import rfc822
from qmail.core.queuedir import SPLIT
from ucspi.core import streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qmail.core.queuedir import Queue

    Json = str | int | bool | None | list["Json"] | dict[str, "Json"]

CHANNELS = (queuefiles.LOCAL, queuefiles.REMOTE)
TODO = b"todo"  # instead of a channel: not yet sorted
# What a stranger wrote must not steer the terminal.
PRINTABLE = bytes(byte if 32 <= byte <= 126 else ord("_") for byte in range(256))


class Unreadable(OSError):
    """A directory of the queue cannot be read; `filename` is its name below the queue."""


class Recipient:
    """One recipient; `key` is how hold/N and qmail-send's control socket call it, b"" while it is in todo."""

    __slots__ = ("address", "channel", "done", "held", "key")

    def __init__(self, channel: bytes, done: bool, address: bytes) -> None:
        self.channel, self.done, self.address = channel, done, address
        self.key = b"" if channel == TODO else hold.LETTERS[CHANNELS.index(channel)] + address
        self.held = False

    def json(self) -> dict[str, Json]:
        """As one JSON object."""
        return {
            "channel": self.channel.decode(), "address": text(self.address), "done": self.done, "held": self.held,
        }  # fmt: skip

    def line(self) -> bytes:
        """As a line of text."""
        mark = b"  done" if self.done else b"  held" if self.held else b""
        return b"%b\t%b\t%b\n" % (mark, self.channel, self.address.translate(PRINTABLE))


class Message:
    """One message; `recipients` yields them all, local ones first, as they are read."""

    __slots__ = ("_holds", "birth", "bouncing", "held", "number", "queue", "sender", "size", "waiting")

    def __init__(self, queue: Queue, number: int, waiting: bool = False) -> None:
        """`waiting`: it is in todo, and qmail-send has not sorted it yet.  Raises OSError."""
        self.queue, self.number, self.waiting = queue, number, waiting
        about = os.stat(queue.mess(number))
        self.size = about.st_size
        self.bouncing = _exists(queue.bounce(number))
        self._holds = hold.NONE if waiting else hold.read(queue, number)
        self.held = bool(self._holds)  # in part, at least
        self.sender, self.birth = (_todo_sender if waiting else _sender)(queue, number)

    def recipients(self) -> Iterator[Recipient]:
        """Every recipient.  Raises OSError, after those that could be read."""
        if self.waiting:
            for record in _records(self.queue.todo(self.number)):
                if record[:1] == b"T":
                    yield Recipient(TODO, False, record[1:])
            return
        trouble = None
        for channel in CHANNELS:
            try:
                yield from self.channel(channel)
            except FileNotFoundError:
                continue
            except OSError as e:
                trouble = e
        if trouble is not None:
            raise trouble

    def channel(self, channel: bytes) -> Iterator[Recipient]:
        """The recipients of one channel.  Raises OSError; FileNotFoundError if there are none."""
        for record in _records(self.queue.at(self.queue.split_name(channel, self.number))):
            if record[:1] in (b"T", b"D"):
                recipient = Recipient(channel, record[:1] == b"D", record[1:])
                recipient.held = not recipient.done and (self._holds == hold.ALL or recipient.key in self._holds)
                yield recipient

    def headline(self) -> bytes:
        """As a line of text."""
        date = rfc822(self.birth).removesuffix(b" -0000")
        sender = self.sender.translate(PRINTABLE)
        line = b"%b GMT  #%d  %d  <%b> " % (date, self.number, self.size, sender)
        return line + b" bouncing" * self.bouncing + b"\n"

    def json(self, only: Iterable[Recipient] | None = None) -> dict[str, Json]:
        """As one JSON object, with all recipients or some.  Raises OSError."""
        recipients: list[Json] = [each.json() for each in (self.recipients() if only is None else only)]
        next_attempt: dict[str, Json] = {}
        for channel in CHANNELS:
            when = queuefiles.next_attempt(self.queue, channel, self.number)
            if when is not None:
                next_attempt[channel.decode()] = when
        return {
            "number": self.number,
            "size": self.size,
            "birth": self.birth,
            "sender": text(self.sender),
            "state": "todo" if self.waiting else "queued",
            "bouncing": self.bouncing,
            "held": self.held,
            "next_attempt": next_attempt,
            "recipients": recipients,
        }


def text(address: bytes) -> str:
    """An address for JSON: a byte that is not UTF-8 becomes a lone surrogate, U+DC80 to U+DCFF."""
    return address.decode("utf-8", "surrogateescape")


def numbers(queue: Queue) -> Iterator[int]:
    """Every preprocessed message.  Raises Unreadable."""
    for split in range(SPLIT):
        yield from _numbers(queue, b"info/%d" % split)


def waiting(queue: Queue) -> Iterator[int]:
    """Every message that qmail-send has not sorted yet.  Raises Unreadable."""
    return _numbers(queue, b"todo")


def messages(queue: Queue) -> Iterator[Message]:
    """Every message, new ones last; what cannot be read is left out.  Raises Unreadable."""
    for number in numbers(queue):
        try:
            if not _exists(queue.todo(number)):
                yield Message(queue, number)
        except OSError:
            continue
    for number in waiting(queue):
        try:
            yield Message(queue, number, waiting=True)
        except OSError:
            continue


def _numbers(queue: Queue, name: bytes) -> Iterator[int]:
    try:
        found = sorted(queuefiles.numbers(queue, name))
    except OSError as e:
        raise Unreadable(e.errno, e.strerror, name) from e
    return iter(found)


def _exists(path: bytes) -> bool:
    try:
        return queuefiles.exists(path)
    except OSError:
        return False


def _records(path: bytes) -> Iterator[bytes]:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield from envelope.records(streams.blocks(fd))
    finally:
        os.close(fd)


def _sender(queue: Queue, number: int) -> tuple[bytes, int]:
    fd = os.open(queue.info(number), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        birth = int(os.fstat(fd).st_mtime)
        return streams.read_all(fd, 65536).partition(b"\0")[0][1:], birth
    finally:
        os.close(fd)


def _todo_sender(queue: Queue, number: int) -> tuple[bytes, int]:
    birth = int(os.stat(queue.todo(number)).st_mtime)
    records = (record[1:] for record in _records(queue.todo(number)) if record[:1] == b"F")
    return next(records, b""), birth


def find(queue: Queue, number: int) -> Message | None:
    """One message, if it is there and can be read."""
    try:
        return Message(queue, number, _exists(queue.todo(number)))
    except OSError:
        return None
