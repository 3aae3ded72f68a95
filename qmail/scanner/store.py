"""One message while it is looked at: in memory while it is small, else in a file without a name.

The file has no name in the spool from its first byte on: whatever stops this process or the machine, nothing is left
behind, and nobody can find half a message.  INTERNALS, "when the machine stops"."""

from __future__ import annotations

import errno
import os

from ucspi.core import streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HELD = 128 * 1024  # bytes kept in memory
BLOCK = 65536


class Store:
    """write() until all is there, then blocks() as often as it takes, by several readers at a time."""

    __slots__ = ("_directory", "_fd", "_held", "size")

    def __init__(self, directory: bytes) -> None:
        """`directory` is where the file would be; nothing is opened before it is needed."""
        self._directory = directory
        self._held: list[bytes] = []
        self._fd = -1
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add to the message.  Raises OSError."""
        self.size += len(data)
        if self._fd < 0:
            self._held.append(data)
            if self.size <= HELD:
                return
            data, self._held = b"".join(self._held), []
            self._fd = _nameless(self._directory)
        streams.write_all(self._fd, data)

    def blocks(self) -> Iterator[bytes]:
        """The message, in pieces.  Raises OSError."""
        if self._fd < 0:
            whole = b"".join(self._held)
            self._held = [whole]
            for at in range(0, len(whole), BLOCK):
                yield whole[at : at + BLOCK]
            return
        at = 0
        while at < self.size:
            block = os.pread(self._fd, BLOCK, at)
            if not block:
                raise OSError(errno.EIO, "the message has become shorter")
            at += len(block)
            yield block

    def close(self) -> None:
        """Forget the message."""
        self._held = []
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _nameless(directory: bytes) -> int:
    try:
        return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
    # A file system that knows no such files: the name lives for two system calls.
    name = os.path.join(directory, b".%d.%d" % (os.getpid(), os.times().elapsed * 1000000))
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.unlink(name)
    return fd
