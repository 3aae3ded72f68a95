"""A directory of logs that rotate by themselves.  multilog(8).

    lock        held as long as the log is written
    current     the log; mode 0744 once it is complete and on disk, 0644 while it is not
    previous    a log that is being finished       processed, newstate    what its processor makes of it
    @LABEL.s    an old log, safe on disk           @LABEL.u               one that a crash cut short
    state       the processor's memory

Renaming to an old log's name is link and unlink, so that a crash leaves the log under one name or two, never none.
Once running nothing is given up: what fails is told, and tried again every five seconds.

The original writes through a buffer of 512 bytes, and where it rotates depends on where its writes end.  Far from the
limit that cannot be seen, and `append` writes whole blocks; near it `put` and `put_bytes` are that buffer."""

from __future__ import annotations

import os
import stat
import time

from ucspi.core import errtext, tai64
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BUFFER = 512
DIRECT = 8192
MARGIN = 2000  # this close to the limit a log may end where a line ends
PAUSE = 5.0


class LogDirectory:
    """One log; `warn` hears of trouble, `process` runs the processor and returns True if it succeeded."""

    def __init__(
        self,
        path: bytes,
        size: int,
        number: int,
        warn: Callable[[str], None],
        process: Callable[[LogDirectory], bool] | None = None,
    ) -> None:
        """Open, lock and repair.  Raises TemporaryFailure."""
        self.path, self.size, self.number = path, size, number
        self._warn, self._process = warn, process
        self._buffer = b""
        self.bytes = 0
        self._fd = -1
        self._open()

    # --- start and end

    def _open(self) -> None:
        try:
            os.mkdir(self.path, 0o700)
        except OSError:
            pass  # there already, or the next step says why not
        self.directory = self._or_die("open directory", "", self._enter)
        self.lock = self._or_die("lock directory", "", self._take_lock)
        try:
            about = os.stat(b"current", dir_fd=self.directory)
        except FileNotFoundError:
            about = None
        except OSError as e:
            raise self._failure("stat", "/current", e) from e
        if about is not None and about.st_mode & stat.S_IXUSR:
            self._fd = self._or_die("append to", "/current", lambda: self._append(b"current"))
            self.bytes = about.st_size
        else:
            self._repair()
            self._or_die("write to", "/state", lambda: os.close(self.file(b"state", os.O_TRUNC)))
            self._fd = self._or_die("write to", "/current", lambda: self._append(b"current"))

    def _enter(self) -> int:
        # The original changes into it: what is no directory, or may not be searched, fails here.
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.stat(b".", dir_fd=fd)
        return fd

    def _take_lock(self) -> int:
        import fcntl

        fd = self._append(b"lock", 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd

    def _repair(self) -> None:
        """Finish what the writer before us could not finish."""
        for name in (b"state", b"newstate"):
            self._remove_quietly(name)
        try:
            complete = bool(os.stat(b"processed", dir_fd=self.directory).st_mode & stat.S_IXUSR)
        except FileNotFoundError:
            complete = False
        except OSError as e:
            raise self._failure("stat", "/processed", e) from e
        if complete:
            self._remove_quietly(b"previous")
            self._finish(b"processed", b"s")
        else:
            self._remove_quietly(b"processed")
            self._finish(b"previous", b"u")
        self._finish(b"current", b"u")

    def close(self) -> None:
        """The clean end: everything on disk, and marked so."""
        self.flush()
        self._insist("write", "/current", lambda: os.fsync(self._fd))
        self._insist("set mode of", "/current", lambda: os.fchmod(self._fd, 0o744))
        for fd in (self._fd, self.directory, self.lock):
            os.close(fd)

    # --- files

    def file(self, name: bytes, flags: int = 0, mode: int = 0o644) -> int:
        """Open a file of this directory for writing, made if need be."""
        return os.open(
            name, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | flags, mode, dir_fd=self.directory
        )

    def _append(self, name: bytes, mode: int = 0o644) -> int:
        fd = self.file(name, os.O_APPEND, mode)
        if name == b"current":
            os.fchmod(fd, 0o644)
        return fd

    def _remove_quietly(self, name: bytes) -> None:
        try:
            os.unlink(name, dir_fd=self.directory)
        except OSError:
            pass

    def _failure(self, what: str, where: str, error: OSError) -> TemporaryFailure:
        return TemporaryFailure(f"unable to {what} {os.fsdecode(self.path)}{where}: {errtext.text(error)}")

    def _or_die(self, what: str, where: str, attempt: Callable[[], int | None]) -> int:
        try:
            return attempt() or 0
        except OSError as e:
            raise self._failure(what, where, e) from e

    def _insist(self, what: str, where: str, attempt: Callable[[], int | None]) -> int:
        while True:
            try:
                return attempt() or 0
            except OSError as e:
                self.pause(f"unable to {what} {os.fsdecode(self.path)}{where}, pausing: {errtext.text(e)}")

    def pause(self, why: str) -> None:
        """Say what is wrong and wait."""
        self._warn(f"warning: {why}")
        time.sleep(PAUSE)

    # --- writing

    def append(self, text: bytes) -> None:
        """Write lines far from the limit: together with what is buffered they must stay `room` below it."""
        text, self._buffer = self._buffer + text, b""
        while text:
            text = text[self._write_some(text) :]

    @property
    def room(self) -> int:
        """How much may be appended."""
        return self.size - MARGIN - self.bytes - len(self._buffer)

    def put(self, text: bytes) -> None:
        """Write the start of a line through the buffer."""
        if len(text) > BUFFER - len(self._buffer):
            self.flush()
            while len(text) > BUFFER:
                self._write(text[:DIRECT])
                text = text[DIRECT:]
        self._buffer += text

    def put_bytes(self, text: bytes) -> None:
        """Write the rest of a line, which the original does byte by byte."""
        while text:
            if len(self._buffer) == BUFFER:
                self.flush()
            taken = BUFFER - len(self._buffer)
            self._buffer += text[:taken]
            text = text[taken:]

    def flush(self) -> None:
        """Nothing may wait in the buffer while we wait for input."""
        text, self._buffer = self._buffer, b""
        self._write(text)

    def _write(self, text: bytes) -> None:
        while text:
            if self.bytes >= self.size:
                self.rotate()
            piece = text[: self.size - self.bytes]
            if self.bytes + len(piece) >= self.size - MARGIN:
                piece = piece[: piece.rfind(b"\n") + 1] or piece
            written = self._write_some(piece)
            if self.bytes >= self.size - MARGIN and text[written - 1 : written] == b"\n":
                self.rotate()
            text = text[written:]

    def _write_some(self, text: bytes) -> int:
        written = self._insist("write to", "/current", lambda: os.write(self._fd, text))
        self.bytes += written
        return written

    # --- rotation

    def rotate(self) -> None:
        """Make current an old log and begin a new one."""
        self._insist("write", "/current", lambda: os.fsync(self._fd))
        os.close(self._fd)
        here = self.directory
        self._insist("rename", "/current", lambda: os.rename(b"current", b"previous", src_dir_fd=here, dst_dir_fd=here))
        self._fd = self._insist("create", "/current", lambda: self._append(b"current"))
        self.bytes = 0
        self._insist("set mode of", "/previous", lambda: os.chmod(b"previous", 0o744, dir_fd=here))
        if self._process is None:
            self._finish(b"previous", b"s")
            return
        while not self._process(self):
            self.pause(f"processor failed in {os.fsdecode(self.path)}, pausing")
        for name in (b"processed", b"newstate"):
            self._insist("write to", "/" + name.decode(), lambda name=name: self._complete(name))  # type: ignore[misc]
        self._insist("remove", "/previous", lambda: os.unlink(b"previous", dir_fd=here))
        self._insist("rename", "/newstate", lambda: os.rename(b"newstate", b"state", src_dir_fd=here, dst_dir_fd=here))
        self._finish(b"processed", b"s")

    def _complete(self, name: bytes) -> None:
        fd = self.file(name)
        try:
            os.fsync(fd)
            if name == b"processed":
                os.fchmod(fd, 0o744)
        finally:
            os.close(fd)

    def _finish(self, name: bytes, code: bytes) -> None:
        """Give a file its old log's name, and see that there are not too many."""
        here = self.directory
        shown = "/" + name.decode()
        try:
            links = os.stat(name, dir_fd=here).st_nlink
        except FileNotFoundError:
            return
        if links == 1:  # with two names it has got its new one already
            self._insist(
                "link to",
                shown,
                lambda: os.link(name, tai64.now() + b"." + code, src_dir_fd=here, dst_dir_fd=here),
            )
        self._insist("remove", shown, lambda: os.unlink(name, dir_fd=here))
        self._insist("read", "", self._prune)

    def _prune(self) -> None:
        names = sorted(os.fsencode(name) for name in os.listdir(self.directory) if name[:1] == "@")
        old = [name for name in names if len(name) >= tai64.LENGTH]
        for name in old[: max(0, len(old) - self.number + 1)]:
            self._remove_quietly(name)
