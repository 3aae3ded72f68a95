"""Programs that other programs run for their users: started as execvp does, fed, waited for.  qmail-command(8).

Whatever says `run this command` in a .qmail file does it with execvp, which takes a file without a magic number for a
script of /bin/sh; so must we."""

from __future__ import annotations

import errno
import os

from ucspi.core import chain, errtext, streams
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ucspi.core.command import Call

SH = b"/bin/sh"
HELD = 8192  # the originals' buffer: what they cannot write at the very end, they do not notice


def start(call: Call, argv: Sequence[bytes], fds: Mapping[int, int] | None = None) -> int:
    """Start argv[0]; return its pid.  Raises OSError."""
    try:
        return call.spawn(argv, fds=fds)
    except OSError as e:
        if e.errno != errno.ENOEXEC:
            raise
    return call.spawn([SH, chain.search(argv[0], call.path), *argv[1:]], fds=fds)


def finish(pid: int) -> int:
    """Wait for the end of a child; return its exit code.  Raises TemporaryFailure if it crashed, or nobody knows."""
    try:
        status = os.waitpid(pid, 0)[1]
    except ChildProcessError as e:
        raise TemporaryFailure("wait failed") from e
    if os.WIFSIGNALED(status):
        raise TemporaryFailure("child crashed")
    return os.WEXITSTATUS(status)


def allows(call: Call, argv: Sequence[bytes]) -> bool:
    """Does the program exit 0?  One that cannot be run, now or ever, has not said yes.  Raises TemporaryFailure.

    It has our standard input, and may have read from it."""
    try:
        code = finish(start(call, argv))
    except OSError as e:
        if e.errno in (errno.EAGAIN, errno.ENOMEM):
            raise TemporaryFailure(f"unable to fork: {errtext.text(e)}") from e
        code = 111 if errtext.is_temporary(e) else 100
    if code == 111:
        raise TemporaryFailure("temporary child error")
    return code == 0


class Fed:
    """A child that reads from a pipe what we write."""

    __slots__ = ("_fd", "_held", "_pid")

    def __init__(self, call: Call, argv: Sequence[bytes]) -> None:
        """Raises OSError."""
        theirs, self._fd = os.pipe()
        self._held = b""
        try:
            self._pid = start(call, argv, {0: theirs})
        except OSError:
            os.close(self._fd)
            raise
        finally:
            os.close(theirs)

    def write(self, blocks: Iterable[bytes]) -> None:
        """Write.  Raises OSError, from `blocks` too.  The last 8192 bytes may be lost unnoticed."""
        for block in blocks:
            data = self._held + block
            self._held = data[-HELD:]
            if len(data) > HELD:
                streams.write_all(self._fd, data[:-HELD])

    def finish(self) -> int:
        """End the input, wait; return the exit code.  Raises TemporaryFailure if the child crashed."""
        try:
            streams.write_all(self._fd, self._held)
        except OSError:
            pass
        os.close(self._fd)
        return finish(self._pid)

    def kill(self) -> None:
        """End the child before it takes what it has for all there is."""
        import signal

        os.kill(self._pid, signal.SIGTERM)
        os.close(self._fd)
        os.waitpid(self._pid, 0)
