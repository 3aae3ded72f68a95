"""How a message gets its number: first a file, then the name that is its inode.  INTERNALS S1 to S2, qmail-queue(8).

Where the file system makes files without names (O_TMPFILE) it is one step: the file is mess/N or is not there.  Else it
is made in pid/, as the original does it, and linked from there.

A number is not taken while todo/N names it, as it may after a power cut that took back the removal of an envelope whose
message is long gone: qmail-send would send what is only just being received to the recipients of that other message."""

from __future__ import annotations

import os
import time
from _thread import get_native_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from qmail.core.queuedir import Queue

TRIES = 9  # files made for one message

EXCLUSIVE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
# Below one of mess/'s directories, whichever, and named later: so the inodes come from the block groups of all of them
# (queuetree.spread), where a flat pid/ and intd/ would wear out one.  ext4 without a journal gives no inode out again
# for some minutes, and walks past all it has just freed in a group at every file it makes there.
UNNAMED = os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC


class Refused(Exception):
    """The message was not queued; `code` is qmail-queue's exit code for the reason."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def new_message(queue: Queue) -> tuple[int, int]:
    """(descriptor, N) of an empty mess/N.  Raises Refused."""
    return _unnamed(queue) or _from_pid(queue)


def new_envelope(queue: Queue, n: int) -> int:
    """A descriptor of an empty intd/N.  Raises OSError, FileExistsError too: what is there is not ours to overwrite."""
    try:
        fd = _create(queue, os.path.dirname(queue.mess(n)), UNNAMED)
        try:
            _name(fd, queue.intd(n))
            return fd
        except OSError:
            os.close(fd)
    except OSError:
        pass
    return _create(queue, queue.intd(n), EXCLUSIVE)


def _unnamed(queue: Queue) -> tuple[int, int] | None:
    """To S2 in one step; None: not possible here."""
    held: list[int] = []  # a number that is taken must not be given out again while we look for another
    try:
        os.stat(queue.at(b"pid"))  # without pid/ this is no queue
        for _ in range(TRIES):
            anywhere = os.path.dirname(queue.mess(time.monotonic_ns() // 1000))
            held.append(_create(queue, anywhere, UNNAMED))
            n = os.fstat(held[-1]).st_ino
            if not os.path.lexists(queue.todo(n)):
                _name(held[-1], queue.mess(n))
                return held.pop(), n
        return None
    except OSError:
        return None
    finally:
        for fd in held:
            os.close(fd)


def _from_pid(queue: Queue) -> tuple[int, int]:
    fd, n, name = _in_pid(queue)
    try:
        # To S2: mess/ holds a file that is its own number, and it got that number before that name, so no two messages
        # ever claim one.  A crash before this leaves an empty file in pid/.
        os.link(name, queue.mess(n))
    except OSError:
        _leave(fd, 64)  # with the file in pid/; qmail-clean takes it after 36 hours
    try:
        os.unlink(name)
    except OSError:
        _leave(fd, 63)
    return fd, n


def _in_pid(queue: Queue) -> tuple[int, int, bytes]:
    # The kernel's thread id: the pid in a process with one thread, and different in all threads of qmail-queued.
    stem = queue.at(b"pid/%d.%d." % (get_native_id(), time.time()))
    for seq in range(1, TRIES + 1):
        name = b"%b%d" % (stem, seq)
        try:
            fd = _create(queue, name, EXCLUSIVE)
        except OSError:
            continue
        try:
            n = os.fstat(fd).st_ino
            if not os.path.lexists(queue.todo(n)):
                return fd, n, name
        except OSError:
            pass
        os.close(fd)  # and leave it there, where it keeps its number from being given out again
    # Why not?  Looked at only now, so that a queue in order is not asked.
    if not os.path.isdir(os.path.dirname(queue.path)):
        raise Refused(61)
    raise Refused(63 if os.path.isdir(queue.path) else 62)


def _create(queue: Queue, path: bytes, how: int) -> int:
    fd = os.open(path, how, 0o644)
    try:
        # qmail-send and qmail-remote read it as others, whatever umask the caller has.
        os.fchmod(fd, 0o644)
        if queue.owner is not None:
            os.fchown(fd, queue.owner, -1)
    except OSError:
        os.close(fd)
        raise
    return fd


def _name(fd: int, path: bytes) -> None:
    """Give an UNNAMED file its name.  Raises OSError, FileExistsError too."""
    # Not by link(2), which would make a link to the symbolic link: a source directory makes it linkat(2).
    os.link(b"/proc/self/fd/%d" % fd, path, src_dir_fd=fd)


def _leave(fd: int, code: int) -> NoReturn:
    os.close(fd)
    raise Refused(code)
