r"""Delivery into an mbox file.  mbox(5), qmail-local(8).

    From_ line, header lines, message, newline

Any line of the message that matches `^>*From ` gets one more `>`; a missing last newline is supplied.  The file is
locked with flock while it grows; what cannot be written to its end is cut off again."""

from __future__ import annotations

import fcntl
import os

from ucspi.core import errtext
from ucspi.core import signals as signal
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

PATIENCE = 30.0  # seconds to wait for the lock
BLOCK = 1 << 18


class Quoter:
    """Blocks of a message in, the same with its From lines quoted out.

    A `>` may be put anywhere into the run of `>` before `From `, so the run itself never waits: no more than four
    bytes are held back, the beginning of a word that may yet become `From `."""

    __slots__ = ("_fresh", "_held", "_whole")

    def __init__(self) -> None:
        self._held = b""
        self._fresh = True  # what was given out is empty, or ends with a newline and any number of `>`
        self._whole = True  # what came in is empty, or ends with a newline

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the message, return what can be written."""
        if not data:
            return b""
        self._whole = data.endswith(b"\n")
        data = self._held + data
        keep = next((n for n in (4, 3, 2, 1) if data.endswith(b"From"[:n])), 0)
        self._held = data[len(data) - keep :]
        data = data[: len(data) - keep]
        quoted = self._quote(data) if b"From " in data else data
        rest = data.rstrip(b">") if data.endswith(b">") else data
        self._fresh = rest.endswith(b"\n") or (not rest and self._fresh)
        return quoted

    def close(self) -> bytes:
        """What follows the message's last byte: the bytes held back, its newline if missing, the empty line."""
        rest, self._held = self._held, b""
        return rest + (b"\n" if self._whole else b"\n\n")

    def _quote(self, data: bytes) -> bytes:
        pieces = []
        done, at = 0, data.find(b"From ")
        while at >= 0:
            start = at
            while start and data[start - 1] == 0x3E:  # ">"
                start -= 1
            if data[start - 1] == 0x0A if start else self._fresh:
                pieces += [data[done:at], b">"]
                done = at
            at = data.find(b"From ", at + 5)
        return b"".join((*pieces, data[done:]))


def deliver(name: bytes, header: bytes, message: int, patience: float = PATIENCE) -> None:
    """Append `header` and what is left of the open file `message` to the file `name`.  Raises TemporaryFailure."""
    try:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o600)
    except OSError as e:
        raise TemporaryFailure(f"Unable to open {os.fsdecode(name)}: {errtext.text(e)}. (#4.2.1)") from e
    try:
        locked = _lock(fd, patience)
        end = _end(fd)
        try:
            if end == 0:  # not a pipe
                # Perhaps just made.  Its name before its bytes: a file that is not empty then needs no look.
                _sync_directory(os.path.dirname(name) or b".")
            for block in _entry(header, message):
                _write(fd, block)
            os.fsync(fd)
        except BaseException as e:
            # Only under the lock is all behind the old end ours.
            if locked and end is not None:
                _cut(fd, end)
            if isinstance(e, OSError):
                text = f"Unable to write {os.fsdecode(name)}: {errtext.text(e)}. (#4.3.0)"
                raise TemporaryFailure(text) from e
            raise
    finally:
        os.close(fd)


def _lock(fd: int, patience: float) -> bool:
    """Lock the file; False if it cannot be locked.  Raises TemporaryFailure if somebody else has it too long."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        pass
    except OSError:
        return False

    # Waiting in flock itself, which queues: many deliveries to one file get it in turn, without a gap in between.
    def expire(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, patience)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except TimeoutError:
        raise TemporaryFailure("File has been locked for 30 seconds straight. (#4.3.0)") from None
    except OSError:
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return True


def _end(fd: int) -> int | None:
    try:
        return os.lseek(fd, 0, os.SEEK_END)
    except OSError:  # a pipe
        return None


def _sync_directory(path: bytes) -> None:
    """Make the names in a directory last; one that may not be read cannot be asked for that."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _entry(header: bytes, message: int) -> Iterator[bytes]:
    """What is to be written: in one block if the message is short."""
    quoter = Quoter()
    pending = header
    while True:
        try:
            data = os.read(message, BLOCK)
        except OSError as e:
            raise TemporaryFailure(f"Unable to read message: {errtext.text(e)}. (#4.3.0)") from e
        if not data:
            break
        pending += quoter.feed(data)
        if len(pending) >= BLOCK:
            yield pending
            pending = b""
    yield pending + quoter.close()


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]  # EAGAIN is an error: nobody shall wait for a pipe's reader


def _cut(fd: int, end: int) -> None:
    try:
        os.ftruncate(fd, end)
    except OSError:
        pass  # no regular file, or one that only an administrator can mend
