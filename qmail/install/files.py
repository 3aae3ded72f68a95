"""Files that appear whole or not at all."""

from __future__ import annotations

import os

from ucspi.core import streams


def replace(path: bytes, data: bytes, mode: int) -> None:
    """Write a file anew, in one step.  Raises OSError."""
    new = path + b".new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.fchmod(fd, mode)
        streams.write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(new, path)


def create(path: bytes, data: bytes, mode: int = 0o644) -> bool:
    """Write a file unless there is one, or anything else of that name; True if it was written.  Raises OSError."""
    if os.path.lexists(path):
        return False
    replace(path, data, mode)
    return True


def directory(path: bytes, mode: int = 0o755) -> None:
    """Make a directory unless there is one.  Raises OSError."""
    if not os.path.isdir(path):
        os.mkdir(path, mode)
        os.chmod(path, mode)  # whatever the umask


def quoted(word: str) -> str:
    """A word as the shell reads it."""
    return "'" + word.replace("'", "'\\''") + "'"
