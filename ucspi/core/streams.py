"""Reading and writing descriptors: whole blocks, and never longer than a given time.

Descriptors are blocking, as they come from a shell or a server; time limits are poll(2)'s, so no signal and no
change to the descriptor outlives the call.  Short writes, EINTR and inherited O_NONBLOCK are dealt with here."""

from __future__ import annotations

import errno
import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 65536
LONGEST_POLL = 86400.0  # seconds; poll(2) counts milliseconds in an int


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`.  Raises OSError."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:  # somebody's O_NONBLOCK on a shared open file
            _wait(fd, select.POLLOUT, None)


def read_some(fd: int, size: int = BLOCK) -> bytes:
    """Up to `size` bytes as soon as there are any; b"" at the end.  Raises OSError."""
    while True:
        try:
            return os.read(fd, size)
        except BlockingIOError:
            _wait(fd, select.POLLIN, None)


def blocks(fd: int, size: int = BLOCK) -> Iterator[bytes]:
    """Everything up to the end of file, as it comes."""
    while block := read_some(fd, size):
        yield block


def read_all(fd: int, limit: int | None = None) -> bytes:
    """Everything up to the end of file, or the first `limit` bytes (one byte more shows that there was more)."""
    parts: list[bytes] = []
    left = limit
    while left is None or left > 0:
        block = read_some(fd, BLOCK if left is None else min(left, BLOCK))
        if not block:
            break
        parts.append(block)
        if left is not None:
            left -= len(block)
    return b"".join(parts)


def read_within(fd: int, size: int, timeout: float) -> bytes:
    """As read_some; TimeoutError if nothing comes for `timeout` seconds."""
    while True:
        _wait(fd, select.POLLIN, timeout)
        try:
            return os.read(fd, size)
        except BlockingIOError:
            continue


def wait_readable(fd: int, timeout: float) -> None:
    """Wait until there is something to read, or the end; TimeoutError if nothing comes for `timeout` seconds."""
    _wait(fd, select.POLLIN, timeout)


def write_within(fd: int, data: bytes, timeout: float) -> None:
    """Write all of `data`; TimeoutError if the other side takes nothing for `timeout` seconds."""
    view = memoryview(data)
    while view:
        try:
            view = view[_write_now(fd, view) :]
        except BlockingIOError:
            _wait(fd, select.POLLOUT, timeout)


def _write_now(fd: int, view: memoryview) -> int:
    """Write what fits without waiting, though the descriptor is a blocking one."""
    try:
        return os.pwritev(fd, [view], -1, os.RWF_NOWAIT)
    except BlockingIOError:
        raise
    except OSError as e:
        if e.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
    return os.write(fd, view)  # a file or a terminal, which never keeps us waiting for a stranger


def _wait(fd: int, event: int, timeout: float | None) -> None:
    poll = select.poll()
    poll.register(fd, event)
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = None if deadline is None else min(max(0.0, deadline - time.monotonic()), LONGEST_POLL)
        if poll.poll(None if left is None else left * 1000):
            return
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError


def hold_standard() -> None:
    """Keep the numbers of closed descriptors among 0, 1 and 2, or the next file opened would be one of them.

    What holds them is closed to reading, writing and poll (EBADF, as before), and an exec finds it closed."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            try:
                os.open("/", os.O_PATH | os.O_CLOEXEC)  # the lowest free number, which is this one
            except OSError:
                return


def widen(fd: int, size: int = 1 << 20) -> None:
    """Let a pipe hold more, if it is one and the system allows it: fewer turns between its two ends."""
    import fcntl

    try:
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size)
    except OSError:
        pass


def complain(text: bytes) -> None:
    """Write a message to descriptor 2.  Nobody can be told if that fails."""
    try:
        write_all(2, text)
    except OSError:
        pass
