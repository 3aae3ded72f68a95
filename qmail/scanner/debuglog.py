"""qmail-queue.log: every step of every message, for whoever looks for a fault; it never grows beyond its size.

    Thu, 22 Mar 2007 19:31:52 AKST:31732: w_c: message of 2642 bytes

The lines of a message are gathered and written together.  A file that has its size becomes qmail-queue.log.old."""

from __future__ import annotations

import fcntl
import os
import time

from qmail.scanner import safe

FILE = b"qmail-queue.log"
LINES = 1000  # of one message


class DebugLog:
    """The lines about one message.  Without `path` nothing is gathered."""

    __slots__ = ("_limit", "_lines", "_path")

    def __init__(self, path: bytes | None, limit: float) -> None:
        self._path = path
        self._limit = limit
        self._lines: list[bytes] = []

    def add(self, tag: bytes, text: bytes) -> None:
        """One step."""
        if self._path is not None and len(self._lines) < LINES:
            date = time.strftime("%a, %d %b %Y %H:%M:%S %Z").encode()
            self._lines.append(b"%b:%d: %b: %b\n" % (date, os.getpid(), tag, safe.text(text)))

    def write(self) -> None:
        """Write what was gathered.  Never fails."""
        lines, self._lines = b"".join(self._lines), []
        if self._path is not None and lines:
            try:
                _write(self._path, lines, self._limit)
            except OSError:
                pass


def _write(path: bytes, lines: bytes, limit: float) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    fd = os.open(path, flags, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        about = os.fstat(fd)
        if about.st_size and about.st_size + len(lines) > limit:
            if os.stat(path).st_ino == about.st_ino:  # else another process has done it already
                os.rename(path, path + b".old")
            os.close(fd)
            fd = os.open(path, flags, 0o640)
        os.write(fd, lines[: int(limit)])
    finally:
        os.close(fd)
