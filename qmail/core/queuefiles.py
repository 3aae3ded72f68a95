"""What becomes of a queued message's files: preprocessed, delivered, bounced, removed.  INTERNALS, qmail-send(8).

    info/   b"F" sender 0x00                    its mtime is the birth of the message
    local/, remote/   ( b"T" recipient 0x00 )*  T turns to D in place when done; mtime is the next attempt
    bounce/ paragraphs for the bounce message

Preprocessed exactly when todo is unlinked, dead exactly when info is.  A crash may repeat a delivery or a bounce; it
must never lose a message, so that every name lasts before the one it replaces goes."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from qmail.core.queuedir import OSSIFIED, Queue, sync_directory
from ucspi.core import scan, streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOCAL, REMOTE = b"local", b"remote"  # the channels
LONGEST = 1 << 20  # bytes of a sender: whatever qmail-queue takes is far below, and what is not a sender has no end
SHORT = 4096  # bytes of an envelope, more than one with one recipient ever has


def new_mail(queue: Queue, n: int) -> tuple[list[bytes], int] | None:
    """(records of todo/N, size of mess/N) where that is quickly told; else None, and Preprocessing finds out why."""
    try:
        fd = os.open(queue.todo(n), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            data = os.read(fd, SHORT)
        finally:
            os.close(fd)
        size = os.stat(queue.mess(n)).st_size
    except OSError:
        return None
    if len(data) == SHORT or not data.endswith(b"\0"):
        return None
    return data[:-1].split(b"\0"), size


def numbers(queue: Queue, name: bytes) -> Iterator[int]:
    """Yield the message numbers found in a directory (`todo`, `info/7`); opens it at once, which may raise OSError."""
    entries = os.scandir(queue.at(name))
    return (scan.number(entry.name) for entry in entries if scan.is_number(entry.name))


def info(queue: Queue, n: int) -> tuple[bytes, int]:
    """Return (sender, birth) of a preprocessed message.  Raises OSError, also for a file that is no info."""
    fd = os.open(queue.info(n), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        birth = int(os.fstat(fd).st_mtime)
        record, end, _ = streams.read_all(fd, LONGEST).partition(b"\0")
    finally:
        os.close(fd)
    if not end or record[:1] != b"F":
        raise OSError(errno.EBADMSG, "no sender", queue.info(n))
    return record[1:], birth


def open_recipients(queue: Queue, channel: bytes, n: int) -> int:
    """Open a channel file to read its records.  Raises OSError."""
    return os.open(queue.at(queue.split_name(channel, n)), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def mark_done(queue: Queue, channel: bytes, n: int, *offsets: int) -> None:
    """Turn the records at `offsets` of a channel file to D.  Raises OSError.

    Not synced, as ever: a crash that takes the mark back repeats the delivery."""
    fd = os.open(queue.at(queue.split_name(channel, n)), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        for offset in offsets:
            os.pwrite(fd, b"D", offset)
    finally:
        os.close(fd)


def append_bounce(queue: Queue, n: int, paragraph: bytes) -> None:
    """Add a paragraph to bounce/N; comes before mark_done.  Raises OSError, and then has added nothing.

    Synced, unlike the original: a recipient marked done by a crash that ate the text would fail without a word."""
    path = queue.bounce(n)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(fd).st_size
        try:
            streams.write_all(fd, paragraph)
            os.fsync(fd)
            if not size:
                sync_directory(os.path.dirname(path))
        except OSError:
            os.ftruncate(fd, size)
            raise
    finally:
        os.close(fd)


def write_hold(queue: Queue, n: int, data: bytes) -> None:
    """Write hold/N, or write it anew, so that it lasts.  Raises OSError, and then it is as before."""
    path = queue.hold(n)
    fd = os.open(path + b".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        streams.write_all(fd, data)
        os.fsync(fd)  # before the name: a crash leaves the old file or the new one
    finally:
        os.close(fd)
    os.rename(path + b".new", path)
    sync_directory(os.path.dirname(path))


def remove_hold(queue: Queue, n: int) -> None:
    """Unlink hold/N for good.  Raises OSError."""
    path = queue.hold(n)
    remove(path)
    sync_directory(os.path.dirname(path))


def exists(path: bytes) -> bool:
    """True if there is such a file, False if surely not.  OSError: nobody knows, so do nothing that relies on it."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    return True


def is_foreign(path: bytes) -> bool:
    """Is there something that is no file?"""
    try:
        return not stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def remove(path: bytes) -> None:
    """Unlink; what is gone already is fine.  Raises OSError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def unlink(path: bytes) -> None:
    """Unlink what must be there.  Raises OSError, also if it is gone: then somebody else is at work here."""
    os.unlink(path)


def next_attempt(queue: Queue, channel: bytes, n: int) -> int | None:
    """Return when a channel file is due, None if there is none.  Raises OSError."""
    try:
        return int(os.stat(queue.at(queue.split_name(channel, n))).st_mtime)
    except FileNotFoundError:
        return None


def set_next_attempt(queue: Queue, channel: bytes, n: int, when: int) -> None:
    """Keep the time of the next attempt over a restart.  Raises OSError."""
    os.utime(queue.at(queue.split_name(channel, n)), (when, when))


def take_mutex(queue: Queue) -> int:
    """Be the only qmail-send of this queue, for as long as the descriptor returned is open.

    Raises BlockingIOError if there is one already, another OSError if the mutex cannot be opened."""
    fd = os.open(queue.at(b"lock/sendmutex"), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def is_leftover(queue: Queue, n: int, now: int) -> bool:
    """True if mess/N was given up long ago: older than any reception lasts, and neither info nor todo points at it.

    What cannot be judged stays.  atime, because it is set when the file is made and moves only forward."""
    try:
        if now <= int(os.stat(queue.mess(n)).st_atime) + OSSIFIED:
            return False
        return not exists(queue.info(n)) and not exists(queue.todo(n))
    except OSError:
        return False


def is_orphan(queue: Queue, kind: bytes, n: int, now: int) -> bool:
    """True if a file of local, remote or bounce is old and belongs to no message at all.

    A crash of the system may bring back what had been removed.  mtime, which for local and remote is the next attempt:
    after that, too, 36 hours are a long time."""
    try:
        old = now > int(os.stat(queue.at(_name(queue, kind, n))).st_mtime) + OSSIFIED
        return old and _is_gone(queue, n) and not exists(queue.info(n))
    except OSError:
        return False


def remove_orphan(queue: Queue, kind: bytes, n: int) -> None:
    """Unlink one.  Best effort: it is come across again."""
    try:
        os.unlink(queue.at(_name(queue, kind, n)))
    except OSError:
        pass


def _name(queue: Queue, kind: bytes, n: int) -> bytes:
    return queue.split_name(kind, n) if kind in (LOCAL, REMOTE) else queue.flat_name(kind, n)


def _is_gone(queue: Queue, n: int) -> bool:
    """Is there no message n, neither here nor in todo?  Raises OSError: also where mess/ is not there to tell."""
    os.stat(os.path.dirname(queue.mess(n)))
    return not (exists(queue.mess(n)) or exists(queue.todo(n)))


def remove_message(queue: Queue, n: int) -> None:
    """qmail-clean's `foop`: from S2 or S3 to S1.  Raises OSError; then the second file was not tried.

    The envelope first: nobody would look for it once mess is gone."""
    remove(queue.intd(n))
    remove(queue.mess(n))


def remove_remains(queue: Queue, n: int) -> None:
    """What a power cut may bring back of a message whose mess is gone already.  Raises OSError.

    info last: only where it is, anybody looks for the others."""
    for name in (queue.local_name(n), queue.remote_name(n), queue.bounce_name(n), queue.info_name(n)):
        remove(queue.at(name))


def remove_todo(queue: Queue, n: int) -> None:
    """qmail-clean's `todo`: from S4 to S5.  Raises OSError; then the second file was not tried.

    intd first: after todo nobody would look for it, and its number must become free."""
    remove(queue.intd(n))
    remove(queue.todo(n))


def remove_old_pids(queue: Queue, now: int) -> None:
    """Unlink what receptions that died early left in pid/.  Errors do not matter: it is tried again."""
    _remove_old(queue.at(b"pid"), now, lambda name: True)


def remove_old_envelopes(queue: Queue, now: int) -> None:
    """Unlink what a crash of the system brought back in intd/ when the message was gone: it keeps a number occupied."""
    numbered = scan.is_number
    _remove_old(queue.at(b"intd"), now, lambda name: numbered(name) and _is_gone(queue, scan.number(name)))


def _remove_old(directory: bytes, now: int, wanted: Callable[[bytes], bool]) -> None:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    if int(entry.stat(follow_symlinks=False).st_atime) + OSSIFIED <= now and wanted(entry.name):
                        os.unlink(entry.path)
                except OSError:
                    continue
    except OSError:
        return
