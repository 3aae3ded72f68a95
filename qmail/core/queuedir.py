"""The queue directory: its paths, its trigger, and how a message comes to be in it.  INTERNALS, qmail-queue(8).

    pid/<pid>.<time>.<seq>     a file whose inode number becomes the message number N
    mess/<N mod 23>/<N>        the message          info/ local/ remote/ are split the same way
    intd/<N>  todo/<N>         the envelope being written, and (a second link) finished
    lock/trigger               FIFO that wakes qmail-send

A message is ours from the instant its todo link lasts, and not before.  This module, numbering, and queuefiles, which
holds what qmail-send and qmail-clean do later, are the only ones that create, link, fsync or unlink there.  The order
of those calls is what a crash cannot break; each order has its reason beside it."""

from __future__ import annotations

import errno
import os
import time

from qmail.core import envelope, numbering
from qmail.core.numbering import Refused as Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

SPLIT = 23  # subdirectories of mess, info, local and remote; conf-split
DEATH = 24 * 3600  # a reception that lasts longer ends itself: must stay below OSSIFIED
OSSIFIED = 36 * 3600  # a file without todo or info that is older has no writer any more, and goes
BLOCK = 65536  # bytes gathered for one write: a usual message is one


class Queue:
    """Where things are in one queue.  `x(n)` is an absolute path, `x_name(n)` the name that log lines show.

    `owner` is the uid that new messages are given; None where the process cannot or need not give files away."""

    __slots__ = ("owner", "path")

    def __init__(self, path: bytes, owner: int | None = None) -> None:
        self.path = path
        self.owner = owner

    def split_name(self, kind: bytes, n: int) -> bytes:
        """Name of message n in mess, info, local or remote."""
        return b"%b/%d/%d" % (kind, n % SPLIT, n)

    def flat_name(self, kind: bytes, n: int) -> bytes:
        """Name of message n in intd, todo, bounce or hold."""
        return b"%b/%d" % (kind, n)

    def at(self, name: bytes) -> bytes:
        """The absolute path of a name."""
        return self.path + b"/" + name

    def mess_name(self, n: int) -> bytes:
        return self.split_name(b"mess", n)

    def messid(self, n: int) -> bytes:
        """How the spawn programs are told of message n: its name below mess/."""
        return b"%d/%d" % (n % SPLIT, n)

    def info_name(self, n: int) -> bytes:
        return self.split_name(b"info", n)

    def local_name(self, n: int) -> bytes:
        return self.split_name(b"local", n)

    def remote_name(self, n: int) -> bytes:
        return self.split_name(b"remote", n)

    def intd_name(self, n: int) -> bytes:
        return self.flat_name(b"intd", n)

    def todo_name(self, n: int) -> bytes:
        return self.flat_name(b"todo", n)

    def bounce_name(self, n: int) -> bytes:
        return self.flat_name(b"bounce", n)

    def mess(self, n: int) -> bytes:
        return self.at(self.mess_name(n))

    def info(self, n: int) -> bytes:
        return self.at(self.info_name(n))

    def local(self, n: int) -> bytes:
        return self.at(self.local_name(n))

    def remote(self, n: int) -> bytes:
        return self.at(self.remote_name(n))

    def intd(self, n: int) -> bytes:
        return self.at(self.intd_name(n))

    def todo(self, n: int) -> bytes:
        return self.at(self.todo_name(n))

    def bounce(self, n: int) -> bytes:
        return self.at(self.bounce_name(n))

    def hold(self, n: int) -> bytes:
        return self.at(self.flat_name(b"hold", n))

    def pull_trigger(self) -> None:
        """Wake qmail-send, if it runs.  Never fails: a message that nobody is told of is found by the next scan."""
        try:
            fd = os.open(self.at(b"lock/trigger"), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        try:
            os.write(fd, b"\0")
        except OSError:
            pass  # full, or the reader just reopens: either way it wakes
        os.close(fd)


class Trigger:
    """qmail-send's end of lock/trigger.  Once pulled it stays readable (and hung up) until it is reopened.

    Reopen *before* reading todo/: a pull that comes during the scan then shows up after it.  `fd` is -1 while the
    FIFO cannot be opened, and only the timed scans are left."""

    __slots__ = ("_path", "fd")

    def __init__(self, queue: Queue) -> None:
        self._path = queue.at(b"lock/trigger")
        self.fd = -1
        self.reopen()

    def reopen(self) -> None:
        """Forget all pulls up to now."""
        self.close()
        try:
            self.fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self.fd = -1
            return
        try:
            # What it holds is there because who pulled it has not closed it yet.  That tells once more; this need not
            # tell again and again until then.
            os.read(self.fd, BLOCK)
        except OSError:
            pass

    def close(self) -> None:
        """Stop listening."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Caller:
    """Who hands in a message: real uid and pid, and how the Received line puts it (`by uid 1008`)."""

    __slots__ = ("how", "pid", "uid")

    def __init__(self, uid: int, pid: int, how: bytes) -> None:
        self.uid = uid
        self.pid = pid
        self.how = how


class Arrival:
    """One message on its way into the queue: write(), end_of_message(), add_records(), commit().

    Each may raise Refused, and then nothing more may be called.  discard() gives up at any point before commit()."""

    __slots__ = ("_buffer", "_buffered", "_death", "_fd", "_intd", "_mess", "_queue", "caller", "n")

    def __init__(self, queue: Queue, caller: Caller, received: bytes) -> None:
        self._queue = queue
        self.caller = caller
        self._death = time.monotonic() + DEATH
        self._mess = self._intd = -1
        self._buffer, self._buffered = [received], len(received)
        self._mess, self.n = numbering.new_message(queue)
        self._fd = self._mess

    def write(self, data: bytes) -> None:
        """Add to the message."""
        self._buffer.append(data)
        self._buffered += len(data)
        if self._buffered >= BLOCK:
            self._flush()

    def end_of_message(self) -> None:
        """Make the message last and start the envelope."""
        # Bytes first, then the name in mess/: the todo link must not outlive either.
        self._sync()
        self._sync_directory(self._queue.at(b"mess/%d" % (self.n % SPLIT)))
        try:
            # To S3.  Exclusive: an envelope left by an older message of this number is not ours to overwrite.
            self._intd = numbering.new_envelope(self._queue, self.n)
        except OSError:
            self._leave(65)
        self._fd = self._intd
        self.write(envelope.pack_todo(self.caller.uid, self.caller.pid))

    def add_records(self, records: bytes) -> None:
        """Add checked F and T records to the envelope."""
        self.write(records)

    def commit(self) -> None:
        """Queue the message and tell qmail-send."""
        self._sync()
        if time.monotonic() > self._death:
            self._leave(52)  # qmail-send may already have judged it abandoned
        try:
            if not os.fstat(self._mess).st_nlink:
                self._leave(66)  # ... and has, by a clock that was set forward
            # From S3 to S4: at this instant, and not before, the message can be found.  The name in intd/ need not
            # last: where a crash takes it back, todo/ is all that anybody reads.
            os.link(self._queue.intd(self.n), self._queue.todo(self.n))
        except OSError:
            self._leave(66)
        try:
            # Only now may anybody be told: until its directory is synced a crash can take the link back.
            sync_directory(self._queue.at(b"todo"))
        except OSError:
            # It is in the queue and qmail-send may have it, so taking it back would race.  The caller will send it
            # again: twice is better than never.
            self._leave(53)
        self._close()
        self._queue.pull_trigger()

    def discard(self) -> None:
        """Give up and leave nothing behind; in the other order a crash would leave an envelope that nobody cleans."""
        for fd, path in ((self._intd, self._queue.intd), (self._mess, self._queue.mess)):
            if fd >= 0:
                try:
                    os.ftruncate(fd, 0)
                except OSError:
                    pass  # only to free space at once
                try:
                    os.unlink(path(self.n))
                except OSError:
                    break
        self._close()

    def leave(self) -> None:
        """Close the files.  Before commit() that leaves them to the clean-up after 36 hours, as with a bad envelope."""
        self._close()

    def _flush(self) -> None:
        data = b"".join(self._buffer)
        self._buffer, self._buffered = [], 0
        if time.monotonic() > self._death:
            self._leave(52)
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError:
            self._fail()

    def _sync(self) -> None:
        self._flush()
        try:
            os.fsync(self._fd)
        except OSError:
            # The kernel reports a lost page once and then calls it clean: a second fsync would lie.
            self._fail()

    def _sync_directory(self, path: bytes) -> None:
        try:
            sync_directory(path)
        except OSError:
            self._fail()

    def _fail(self) -> NoReturn:
        self.discard()
        raise Refused(53)

    def _leave(self, code: int) -> NoReturn:
        self._close()
        raise Refused(code)

    def _close(self) -> None:
        for fd in (self._mess, self._intd):
            if fd >= 0:
                os.close(fd)
        self._mess = self._intd = -1


def receive(arrival: Arrival, message: Iterable[bytes], blocks: Iterable[bytes]) -> None:
    """Queue what `message` and then the envelope in `blocks` yield; OSError from them is a read error.

    Raises Refused.  The envelope is not touched before the message lasts."""
    try:
        _receive(arrival, message, blocks)
    except envelope.BadEnvelope as error:
        raise Refused(error.code) from error
    except OSError as error:
        arrival.discard()
        raise Refused(54) from error
    finally:
        arrival.leave()


def _receive(arrival: Arrival, message: Iterable[bytes], blocks: Iterable[bytes]) -> None:
    for block in message:
        arrival.write(block)
    arrival.end_of_message()
    reader = envelope.Reader()
    for block in blocks:
        arrival.add_records(reader.feed(block))
        if reader.done:
            arrival.commit()
            return
    raise OSError(errno.EIO, "envelope ends early")


def sync_directory(path: bytes) -> None:
    """Make the names in a directory last.  Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
