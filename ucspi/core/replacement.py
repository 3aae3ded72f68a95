"""A file that is replaced as a whole: readers see the old one or the new, also after a crash.

The new content goes to a temporary file, is synced, and takes the name in one rename.  Errors read as djb's programs
say them: `unable to create TMP: why`, `unable to write to TMP: why`, `unable to move TMP to NAME: why`."""

from __future__ import annotations

import os

from ucspi.core import errtext
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


CREATE, WRITE, MOVE = "create", "write to", "move"


class NotReplaced(TemporaryFailure):
    """`step` is CREATE, WRITE or MOVE: for who has words of his own for it."""

    def __init__(self, step: str, files: str, error: OSError) -> None:
        super().__init__(f"unable to {step} {files}: {errtext.text(error)}")
        self.step = step


def replace(name: bytes, temporary: bytes, fill: Callable[[int], None]) -> None:
    """Let `fill` write the new content to a descriptor of `temporary`, then make that `name`.

    Raises NotReplaced; what `fill` raises other than OSError passes, and `name` is then as it was."""
    try:
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    except OSError as e:
        raise NotReplaced(CREATE, os.fsdecode(temporary), e) from e
    try:
        fill(fd)
        os.fsync(fd)
    except OSError as e:
        raise NotReplaced(WRITE, os.fsdecode(temporary), e) from e
    finally:
        os.close(fd)
    try:
        os.rename(temporary, name)
    except OSError as e:
        raise NotReplaced(MOVE, f"{os.fsdecode(temporary)} to {os.fsdecode(name)}", e) from e
    _sync(os.path.dirname(name) or b".")


def _sync(directory: bytes) -> None:
    """Make the new name last.  It is in place already: a directory that cannot be synced is no failure."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.fsync(fd)
    except OSError:
        pass
    finally:
        os.close(fd)
