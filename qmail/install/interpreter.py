"""May every user of this machine run the programs?  Asked before anything is installed.

A mail host's programs run as seven accounts and as every recipient.  An interpreter below somebody's home directory, as
pyenv and uv make them, runs for its owner and fails for all others: mail would be deferred, one process at a time."""

from __future__ import annotations

import os
import stat
import sys

from ucspi.core.failure import TemporaryFailure

OLDEST = (3, 11)


def demand() -> str:
    """The interpreter that a virtual environment made by this one would start.  Raises TemporaryFailure."""
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    if sys.version_info < OLDEST:
        raise TemporaryFailure(f"{python} is older than Python {OLDEST[0]}.{OLDEST[1]}")
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as e:
        raise TemporaryFailure(f"{python} cannot make virtual environments: {e} (Debian: python3-venv)") from e
    for file in (python, os.path.realpath(os.__file__)):
        if obstacle := closed(file):
            raise TemporaryFailure(
                f"{python} is not for other users: {obstacle}; name one that is: make setup PYTHON=/usr/bin/python3"
            )
    return python


def closed(path: str) -> str | None:
    """Why a stranger cannot read `path`; None if he can.  What does not exist yet is no obstacle."""
    wanted = stat.S_IROTH
    while True:
        try:
            mode = os.stat(path).st_mode
        except FileNotFoundError:
            pass
        else:
            if not mode & (stat.S_IXOTH if stat.S_ISDIR(mode) else wanted):
                return f"{path} is closed to them (mode {stat.S_IMODE(mode):04o})"
        if path == os.path.dirname(path):
            return None
        path = os.path.dirname(path)
