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
from functools import partial

from qmail.core import envelope
from qmail.core.numbering import EXCLUSIVE
from qmail.core.queuedir import BLOCK, OSSIFIED, Queue, sync_directory
from ucspi.core import scan, streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

LOCAL, REMOTE = b"local", b"remote"  # the channels
LONGEST = 1 << 20  # bytes of a sender: whatever qmail-queue takes is far below, and what is not a sender has no end
SHORT = 4096  # bytes of an envelope, more than one with one recipient ever has


class Trouble(Exception):
    """What could not be done, as qmail-send logs it: `unable to create info/8/123`."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


class _Growing:
    """A file of info, local or remote while it is written."""

    __slots__ = ("_data", "_fd", "_size", "directory", "name", "path")

    def __init__(self, queue: Queue, name: bytes) -> None:
        self.name = name
        self.path = queue.at(name)
        self.directory = os.path.dirname(self.path)
        self._data: list[bytes] = []
        self._size = 0
        try:
            self._fd = os.open(self.path, EXCLUSIVE, 0o600)
        except OSError as error:
            raise Trouble(b"unable to create " + name) from error

    def write(self, data: bytes) -> None:
        self._data.append(data)
        self._size += len(data)
        if self._size >= BLOCK:
            self._flush()

    def end(self) -> None:
        """All is written, but need not last yet."""
        self._flush()

    def sync(self) -> None:
        """Make the bytes last.  Raises OSError."""
        os.fsync(self._fd)

    def close(self) -> None:
        os.close(self._fd)

    def _flush(self) -> None:
        data, self._data, self._size = b"".join(self._data), [], 0
        try:
            streams.write_all(self._fd, data)
        except OSError as error:
            raise Trouble(b"trouble writing to " + self.name) from error


class Preprocessing:
    """todo/N on its way to info/N, local/N and remote/N.

    In this order: records(), sender(), recipient(), end(), syncs(), check(), close().

    Raises Trouble.  Until check() passes nothing has happened: the next try removes the traces of this one."""

    __slots__ = ("_files", "_queue", "_todo", "n", "size")

    def __init__(self, queue: Queue, n: int) -> None:
        self._queue = queue
        self.n = n
        self._files: dict[bytes, _Growing] = {}
        try:
            self._todo = os.open(queue.todo(n), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Trouble(b"unable to open " + queue.todo_name(n)) from error
        try:
            self.size = self._stat_mess()
            # An earlier try may have got anywhere before a crash.  While todo exists none of these count.  Nor does a
            # bounce: a power cut may bring one back, even that of an earlier message which had this number, and
            # this one's sender must not be told of it.  Whoever it is about is tried again.
            for name in (*(queue.split_name(kind, n) for kind in (LOCAL, REMOTE, b"info")), queue.bounce_name(n)):
                self._unlink(name)
            self._files[b"info"] = _Growing(queue, queue.info_name(n))
        except Trouble:
            self.close()
            raise

    def records(self) -> Iterator[bytes]:
        """Yield the records of todo, letter first, without 0x00."""
        try:
            yield from envelope.records(streams.blocks(self._todo))
        except OSError as error:
            raise Trouble(b"trouble reading " + self._queue.todo_name(self.n)) from error

    def sender(self, sender: bytes) -> None:
        """Write the sender to info."""
        self._files[b"info"].write(b"F%b\0" % sender)

    def recipient(self, channel: bytes, address: bytes) -> None:
        """Add a recipient to a channel."""
        if channel not in self._files:
            self._files[channel] = _Growing(self._queue, self._queue.split_name(channel, self.n))
        self._files[channel].write(b"T%b\0" % address)

    @property
    def channels(self) -> list[bytes]:
        """The channels that have recipients."""
        return [channel for channel in (LOCAL, REMOTE) if channel in self._files]

    def end(self) -> None:
        """Everything is sorted: write it out.  What remains is to wait for the disk."""
        for file in self._files.values():
            file.end()

    def syncs(self) -> Iterator[tuple[bytes, Callable[[], None]]]:
        """What makes bytes and names last: paths, and what syncs each.  In any order, for several messages at a time.

        Only when all are done may qmail-clean be asked to unlink intd and todo: were todo to go before the name of a
        channel file lasts, a crash would lose its recipients."""
        for file in self._files.values():
            yield file.path, file.sync
            yield file.directory, partial(sync_directory, file.directory)

    def check(self, failed: Container[bytes]) -> None:
        """Raise Trouble if one of this message's paths has failed.  It is written anew then, never synced again."""
        for file in self._files.values():
            if file.path in failed or file.directory in failed:
                raise Trouble(b"trouble fsyncing " + file.name)

    def close(self) -> None:
        """Close all files; after check(), or to give up."""
        os.close(self._todo)
        for file in self._files.values():
            file.close()

    def _stat_mess(self) -> int:
        try:
            return os.stat(self._queue.mess(self.n)).st_size
        except OSError as error:
            raise Trouble(b"unable to stat " + self._queue.mess_name(self.n)) from error

    def _unlink(self, name: bytes) -> None:
        try:
            remove(self._queue.at(name))
        except OSError as error:
            raise Trouble(b"unable to unlink " + name) from error


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
