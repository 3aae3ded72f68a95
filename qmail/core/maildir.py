"""Delivery into a maildir.  maildir(5), qmail-local(8).

tmp/TIME.PID.HOST            being written; whoever finds one older than 36 hours may remove it
tmp/TIME.PIDQn.HOST          the same for the n-th delivery of one process
new/(the same name)          there, complete and on disk, or not there at all"""

from __future__ import annotations

import os
import time

from ucspi.core import errtext, streams
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DEATH = 86400  # seconds one delivery may take; must stay below the 36 hours after which tmp is cleaned
TRIES = 3  # names, two seconds apart
BLOCK = 1 << 18


def _trouble() -> TemporaryFailure:
    return TemporaryFailure("Temporary error on maildir delivery. (#4.3.0)")


def deliver(
    directory: bytes,
    header: bytes,
    message: int,
    serial: int = 0,
    clock: Callable[[], float] = time.time,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Put `header` and what is left of the open file `message` into the maildir `directory`.  Raises TemporaryFailure.

    `serial` numbers the deliveries of one run from 0: two in the same microsecond must not have the same name."""
    try:
        os.stat(directory + b"/.")  # may it be entered?
    except OSError as e:
        if errtext.is_temporary(e):
            raise _trouble() from e
        raise TemporaryFailure("Unable to chdir to maildir. (#4.2.1)") from e
    try:
        deadline = clock() + DEATH
        fd, name = _create(directory, serial, clock, pause)
    except OSError as e:
        raise _trouble() from e
    tmp = directory + b"/tmp/" + name
    try:
        _write(fd, header, message, clock, deadline)
        # The bytes before the name in new: a name there is a promise that a crash must not break.
        os.link(tmp, directory + b"/new/" + name)
        _sync(directory + b"/new")  # on Linux the name itself lasts only from here on
    except OSError as e:
        raise _trouble() from e
    finally:
        try:
            os.unlink(tmp)
        except OSError:
            pass  # a second name of a message delivered, or rubbish that a reader will clean up


def _create(
    directory: bytes, serial: int, clock: Callable[[], float], pause: Callable[[float], None]
) -> tuple[int, bytes]:
    host = os.fsencode(os.uname().nodename)[:64]
    for left in range(TRIES - 1, -1, -1):
        now = clock()
        name = b"%d.M%06dP%dQ%d.%b" % (now, now % 1 * 1000000, os.getpid(), serial, host)
        try:
            # 0600 and not 0644 less the umask: a delivery never makes anything that others can read.
            return os.open(directory + b"/tmp/" + name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), name
        except FileExistsError:
            if not left:
                raise
            pause(2)
    raise AssertionError


def _write(fd: int, header: bytes, message: int, clock: Callable[[], float], deadline: float) -> None:
    """Fill the file, sync and close it.  Raises OSError, or TemporaryFailure with a text of its own."""
    try:
        pending = header
        while True:
            try:
                block = os.read(message, BLOCK)
            except OSError as e:
                raise TemporaryFailure("Unable to read message. (#4.3.0)") from e
            if pending or block:
                streams.write_all(fd, pending + block)
            pending = b""
            if not block:
                break
            if clock() > deadline:
                raise TemporaryFailure("Timeout on maildir delivery. (#4.3.0)")
        os.fsync(fd)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)  # the error of a close is a write's that comes late, on NFS


def _sync(directory: bytes) -> None:
    """Make the names in a directory last."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return  # write-only, as a drop box may be: no way to ask for more
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
