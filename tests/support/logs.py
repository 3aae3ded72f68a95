"""What several programs write their logs into at once."""

from __future__ import annotations

import fcntl
import os


def shared_log() -> int:
    """A descriptor to give to all of them, and to read the log from with os.pread.

    O_APPEND: a memfd's offset is not locked as a file's is, so that without it they would overwrite each other."""
    fd = os.memfd_create("log")
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
    return fd
