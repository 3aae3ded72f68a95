"""Ask all engines at once: one loop, no threads, and the slowest of them is all the time it takes.

An engine that stalls, closes early, talks nonsense or is not there costs its own time limit at the most, and is
Trouble: its verdict is not known."""

from __future__ import annotations

import errno
import os
import select
import time
from _socket import AF_INET, AF_INET6, AF_UNIX, SHUT_WR, SOCK_STREAM, socket

from qmail.scanner.verdict import Verdict
from ucspi.core import errtext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qmail.scanner.conversation import Conversation
    from qmail.scanner.store import Store

BACKLOG = 5.0  # seconds that a full queue of a local engine is waited for
READ = 65536


class Question:
    """A conversation, with whom (see settings(): a path, or HOST:PORT), and for how many seconds at the most."""

    __slots__ = ("address", "conversation", "seconds")

    def __init__(self, conversation: Conversation, address: bytes, seconds: float) -> None:
        self.conversation = conversation
        self.address = address
        self.seconds = seconds


class _Line:
    """The connection of one question."""

    __slots__ = ("_data", "_requests", "_socket", "conversation", "deadline", "fd", "sending")

    def __init__(self, question: Question, message: Store) -> None:
        """Raises OSError."""
        self.conversation = question.conversation
        self.deadline = time.monotonic() + question.seconds
        self._requests = self.conversation.requests(message.size, message.blocks())
        self._data = memoryview(b"")
        self.sending = True
        self._socket = connect(question.address)
        self.fd = self._socket.fileno()

    def send(self) -> None:
        """Send what fits.  Raises OSError of the message's file, never of the connection."""
        try:
            if not self._data:
                self._data = memoryview(next(self._requests))
            self._data = self._data[self._socket.send(self._data) :]
        except StopIteration:
            self._end_sending(self.conversation.half_close)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ECONNREFUSED):
                raise
            self._end_sending(False)  # it will take no more; perhaps it says why

    def _end_sending(self, tell: bool) -> None:
        self.sending = False
        if tell:
            try:
                self._socket.shutdown(SHUT_WR)
            except OSError:
                pass  # then it is gone

    def receive(self) -> Verdict | None:
        """Take what came; the verdict, if that is all."""
        try:
            data = self._socket.recv(READ)
        except BlockingIOError:
            return None
        except OSError as error:
            if self.conversation.said:
                return self.conversation.verdict()
            return self.conversation.trouble(errtext.text(error).encode())
        if data and not self.conversation.receive(data):
            return None
        return self.conversation.verdict()

    def close(self) -> None:
        self._socket.close()


def connect(address: bytes) -> socket:
    """Begin a connection to a path or to HOST:PORT.  Raises OSError."""
    host, _, port = address.rpartition(b":")
    if address.startswith(b"/") or not port.isdigit():
        line = socket(AF_UNIX, SOCK_STREAM)
        place: object = address
        line.settimeout(BACKLOG)  # a local one is connected at once, or its queue is full
    else:
        host = host.strip(b"[]")
        line = socket(AF_INET6 if b":" in host else AF_INET, SOCK_STREAM)
        place = (os.fsdecode(host), int(port[:5]))
        line.setblocking(False)
    try:
        line.connect(place)  # type: ignore[arg-type]
    except BlockingIOError:
        pass
    except (OSError, OverflowError) as error:
        line.close()
        if isinstance(error, OverflowError):
            raise OSError(errno.EINVAL, "no such port") from error
        raise
    line.setblocking(False)
    return line


def ask(questions: Sequence[Question], message: Store) -> list[Verdict]:
    """All verdicts, in the order of the questions.  Raises OSError if the message itself cannot be read."""
    verdicts: dict[int, Verdict] = {}
    lines: dict[int, tuple[int, _Line]] = {}
    try:
        for number, question in enumerate(questions):
            try:
                line = _Line(question, message)
            except OSError as error:
                verdicts[number] = question.conversation.trouble(errtext.text(error).encode())
            else:
                lines[line.fd] = (number, line)
        verdicts.update(_converse(lines))
    finally:
        for _, line in lines.values():
            line.close()
    return [verdicts[number] for number in range(len(questions))]


def _converse(lines: dict[int, tuple[int, _Line]]) -> Iterator[tuple[int, Verdict]]:
    """Serve all lines until each has its verdict."""
    poll = select.poll()
    for fd in lines:
        poll.register(fd, select.POLLIN | select.POLLOUT)
    while lines:
        now = time.monotonic()
        for fd, (number, line) in list(lines.items()):
            if line.deadline <= now:
                yield number, line.conversation.trouble(b"gave no answer in time")
                _end(lines, poll, fd)
        soonest = min((line.deadline for _, line in lines.values()), default=now)
        for fd, events in poll.poll(max(0.0, soonest - now) * 1000 + 1) if lines else ():
            number, line = lines[fd]
            verdict = line.receive() if events & ~select.POLLOUT else None
            if verdict is not None:
                yield number, verdict
                _end(lines, poll, fd)
            elif events & select.POLLOUT and line.sending:
                line.send()
                if not line.sending:
                    poll.modify(fd, select.POLLIN)


def _end(lines: dict[int, tuple[int, _Line]], poll: select.poll, fd: int) -> None:
    poll.unregister(fd)
    lines.pop(fd)[1].close()
