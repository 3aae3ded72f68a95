"""The lines that qmail-send logs.  qmail-log(5).

One event, one line, bytes ending in a newline.  Whoever wrote a sender, a recipient or a delivery report must not be
able to forge a line or a column, so these three pass through `safe` here and nowhere else.  qmail-send puts no time
before a line: the logger that reads the pipe does."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# A newline turns into "/", so that the lines of a report stay apart; blanks, controls, bytes above 126, and "%" (which
# a logger might hand to syslog as a format) turn into "_".
_SAFE = bytes(
    ord("/") if byte == 10 else ord("_") if byte < 33 or byte > 126 or byte == ord("%") else byte for byte in range(256)
)

LOCAL, REMOTE = 0, 1
CHANNELS = (b"local", b"remote")


def safe(text: bytes) -> bytes:
    """`text` as it may stand in a log line: one word, printable, as long as before."""
    return text.translate(_SAFE)


def new(number: int) -> bytes:
    """Preprocessing of a message begins (again, if an earlier try failed)."""
    return b"new msg %d\n" % number


def info(number: int, size: int, sender: bytes, qp: int, uid: int) -> bytes:
    """What is known of a message: bytes in its mess file, envelope sender, and who queued it."""
    return b"info msg %d: bytes %d from <%b> qp %d uid %d\n" % (number, size, safe(sender), qp, uid)


def starting(delivery: int, number: int, channel: int, recipient: bytes) -> bytes:
    """A delivery is handed to a spawn program."""
    return b"starting delivery %d: msg %d to %b %b\n" % (delivery, number, CHANNELS[channel], safe(recipient))


_OUTCOME = {b"K": b"success", b"Z": b"deferral", b"D": b"failure"}


def report(delivery: int, letter: bytes, text: bytes) -> bytes:
    """A delivery's report; any letter but K, Z and D is a report nobody can read."""
    if letter not in _OUTCOME:
        return b"delivery %d: report mangled, will defer\n" % delivery
    return b"delivery %d: %b: %b\n" % (delivery, _OUTCOME[letter], safe(text))


def status(used: tuple[int, int], limit: tuple[int, int], exiting: bool) -> bytes:
    """Deliveries that are out, and how many may be, after every start and end of one."""
    tail = b" exitasap" if exiting else b""
    return b"status: local %d/%d remote %d/%d%b\n" % (used[0], limit[0], used[1], limit[1], tail)


PATIENCE = 10  # seconds between tries of what must not fail
EXITING = b"status: exiting\n"


def bounce(number: int, qp: int) -> bytes:
    """The failure notice of a message has been queued, by process `qp`."""
    return b"bounce msg %d qp %d\n" % (number, qp)


def triple(name: bytes) -> bytes:
    """Even the notice about the notice failed: `name` goes into the void."""
    return b"triple bounce: discarding %b\n" % name


def end(number: int) -> bytes:
    """All that was to be done for a message is done; its number may be given out again."""
    return b"end msg %d\n" % number


def intervention(verb: bytes, number: int, settled: int, under_way: int, uid: int) -> bytes:
    """The administrator's hand: recipients it was done for, and those whose deliveries are under way."""
    return b"qmail-qctl: %b msg %d: %d recipients, %d under way, uid %d\n" % (verb, number, settled, under_way, uid)


def warning(text: bytes) -> bytes:
    """Something went wrong and will be tried again, or hurts one message only."""
    return b"warning: %b\n" % text


def alert(text: bytes) -> bytes:
    """Something went wrong that stops everything."""
    return b"alert: %b\n" % text


class Log:
    """The way to the logger.  Lines of one turn travel in one write: the logger wakes once for all of them."""

    __slots__ = ("_fd", "_lines", "_size", "_sleep")
    FULL = 16384  # flush in mid-turn beyond this, so that no turn holds many lines back

    def __init__(self, fd: int, sleep: Callable[[float], None] = time.sleep) -> None:
        self._fd = fd
        self._sleep = sleep
        self._lines: list[bytes] = []
        self._size = 0

    def __call__(self, line: bytes) -> None:
        """Log one line, by the end of this turn."""
        self._lines.append(line)
        self._size += len(line)
        if self._size > self.FULL:
            self.flush()

    def stall(self, text: bytes) -> None:
        """Alert, and wait: the caller can do nothing but try again until somebody has repaired what is broken."""
        self(alert(text))
        self.flush()
        self._sleep(PATIENCE)

    def flush(self) -> None:
        """Write what is held.  A dead logger must not stop the mail: its lines are lost, and nobody hears of it."""
        if not self._lines:
            return
        data = b"".join(self._lines)
        self._lines.clear()
        self._size = 0
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:  # somebody set O_NONBLOCK on the shared pipe: wait, as a blocking write would
                _wait_writable(self._fd)
            except OSError:
                return


def _wait_writable(fd: int) -> None:
    import select

    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()
