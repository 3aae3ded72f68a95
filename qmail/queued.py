"""Receive messages for callers that may not write the queue themselves.  qmail-queued(8).

Listens on run/queued below the instance's home.  A caller (qmail-queue, or any program of ours that hands in mail)
passes the descriptors of message and envelope, and gets qmail-queue's exit code back; the kernel says who it is.

Each submission has a thread, so that their fsyncs overlap.  A caller that stalls, dies or floods takes places from
its own user only: no user holds more places than are left free, so that there is always room for the others.

On SIGTERM, or when the pipe on descriptor 0 closes, takes no more calls, finishes what it has and exits 0.
Exits 111 if it cannot listen."""

from __future__ import annotations

import _thread
import array
import fcntl
import os
import resource
import select
import signal
import socket
import stat
import struct
import time

from qmail.core import instance, queuedsocket
from qmail.core.queuedir import DEATH, Refused, receive
from qmail.core.reception import Reception
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Program("qmail-queued", __doc__, title=True)

PLACES = 1000  # submissions at a time
DESCRIPTORS = 6  # of one: connection, message, envelope, mess, intd, a directory
RESERVE = 32  # descriptors for everything else
STACK = 256 * 1024  # bytes for a thread: the reception is shallow
HANDOVER = 60.0  # seconds from the call to its descriptors, which come in the same breath
TRUSTED = ("alias", "qmaild", "qmails")  # our own programs' accounts: many callers behind one uid
LOCK_TRIES = 100
BLOCK = 65536
OUT_OF_MEMORY, TIMED_OUT, UNREADABLE, BUG = 51, 52, 54, 81


class Places:
    """Who holds how many of the places."""

    def __init__(self, places: int, trusted: frozenset[int]) -> None:
        self._free = places
        self._kept = places // 10  # for strangers, whatever our own programs need
        self._held: dict[int, int] = {}
        self._trusted = trusted
        self._lock = _thread.allocate_lock()

    def take(self, uid: int) -> bool:
        """Give a place to `uid`, if it may have one more."""
        with self._lock:
            held = self._held.get(uid, 0)
            # A stranger never holds more than are free: many flooding users together still leave some.
            if self._free <= (self._kept if uid in self._trusted else held + 1):
                return False
            self._held[uid] = held + 1
            self._free -= 1
            return True

    def give_back(self, uid: int) -> None:
        """Free a place of `uid`."""
        with self._lock:
            self._free += 1
            self._held[uid] -= 1
            if not self._held[uid]:
                del self._held[uid]

    @property
    def idle(self) -> bool:
        """True if nobody holds any."""
        return not self._held


class Listener:
    """The socket in run/, and the lock that makes it ours."""

    def __init__(self, path: bytes) -> None:
        """Raises OSError, or TemporaryFailure if another qmail-queued listens there."""
        self._path = path
        directory = os.path.dirname(path)
        try:
            os.mkdir(directory, 0o755)  # a single-user instance; elsewhere qmail-start has made it for us
            os.chmod(directory, 0o755)
        except FileExistsError:
            pass
        self._lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._take_lock()
        try:
            os.unlink(path)  # left by one that was killed: whoever lives has the lock
        except FileNotFoundError:
            pass
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(os.fsdecode(path))
        os.chmod(path, 0o666)  # every user may hand in mail
        self.socket.setblocking(False)
        self.socket.listen(1024)

    def close(self) -> None:
        """Make way for the next qmail-queued: it need not wait until our last caller is served."""
        self.socket.close()
        os.close(self._lock)

    def unlink(self) -> None:
        """Let nobody call any more."""
        try:
            os.unlink(self._path)
        except OSError:
            pass

    def _take_lock(self) -> None:
        for _ in range(LOCK_TRIES):
            try:
                return fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.1)  # at a restart the one before us is just about to go
        raise TemporaryFailure("qmail-queued is already running")


class Server:
    """Accepts calls, and serves each in a thread."""

    def __init__(self, reception: Reception, listener: Listener, places: Places) -> None:
        self._reception = reception
        self._listener = listener
        self._places = places
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._stopping = False

    def stop(self, *_: object) -> None:
        """Take no more calls.  May be a signal handler."""
        self._stopping = True
        self._poke()

    def listen_to_signals(self) -> int:
        """Wake from a poll that a signal comes just before, too late for its handler.  Returns whom signals woke."""
        return signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def run(self, string: int | None) -> None:
        """Serve until stopped, or until the pipe `string` is at its end; then until the last caller is served."""
        calls = self._listener.socket.fileno()
        poll = select.poll()
        for fd in (calls, self._woken, *([] if string is None else [string])):
            poll.register(fd, select.POLLIN)
        while not self._stopping:
            for fd, _ in poll.poll():
                if fd == calls:
                    self._accept()
                elif fd == string and not os.read(fd, BLOCK):
                    self._stopping = True
        self._listener.unlink()
        while self._accept():
            pass  # who has called already is served
        self._listener.close()
        while not self._places.idle:
            os.read(self._woken, 1)

    def _accept(self) -> bool:
        """Take one call; False if there is none."""
        try:
            connection, _ = self._listener.socket.accept()
        except BlockingIOError:
            return False
        except OSError:
            time.sleep(0.01)  # out of descriptors, for the moment
            return False
        pid, uid, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if not self._places.take(uid):
            _reply(connection, queuedsocket.BUSY)
            return True
        try:
            _thread.start_new_thread(self._serve, (connection, uid, pid))
        except RuntimeError:  # the system has no thread for us
            _reply(connection, queuedsocket.BUSY)
            self._places.give_back(uid)
        return True

    def _serve(self, connection: socket.socket, uid: int, pid: int) -> None:
        try:
            _reply(connection, self._receive(connection, uid, pid))
        finally:
            self._places.give_back(uid)  # before the look at _stopping, or run() could wait for ever
            if self._stopping:
                self._poke()

    def _receive(self, connection: socket.socket, uid: int, pid: int) -> int:
        fds = _descriptors(connection)
        try:
            if len(fds) != 2:
                return UNREADABLE
            deadline = time.monotonic() + DEATH
            message, envelope = (_blocks(fd, connection, deadline) for fd in fds)
            receive(self._reception.arrival(uid, pid), message, envelope)
        except Refused as refused:
            return refused.code
        except MemoryError:
            return OUT_OF_MEMORY
        except Exception:
            return BUG
        finally:
            for fd in fds:
                os.close(fd)
        return 0

    def _poke(self) -> None:
        try:
            os.write(self._wake, b"\0")
        except OSError:
            pass  # full of wake-ups


def qmail_queued(call: Call) -> int:
    """Listen, and serve."""
    home = instance.of(call.env)
    # From the moment there is a socket, SIGTERM has to go through stop(), which removes it.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
    listener = Listener(queuedsocket.path(home))
    trusted = frozenset(home.uid(name) for name in TRUSTED)
    server = Server(Reception(home), listener, Places(_places(), trusted))
    _thread.stack_size(STACK)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, server.stop)
    old = server.listen_to_signals()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
    try:
        server.run(0 if _is_pipe(0) else None)
    finally:
        signal.set_wakeup_fd(old)
    return 0


def _places() -> int:
    """As many as there are descriptors for."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = PLACES * DESCRIPTORS + RESERVE
    allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    return (allowed - RESERVE) // DESCRIPTORS


def _is_pipe(fd: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError:
        return False


def _descriptors(connection: socket.socket) -> list[int]:
    """What the caller passes; more than two are closed by the kernel."""
    connection.settimeout(HANDOVER)
    try:
        _, passed, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(8), socket.MSG_CMSG_CLOEXEC)
    except OSError:
        return []
    fds: list[int] = []
    for level, kind, data in passed:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds += array.array("i", data[: len(data) // 4 * 4])
    return fds


def _blocks(fd: int, connection: socket.socket, deadline: float) -> Iterator[bytes]:
    """Read to the end, at most until `deadline`, and only while the caller waits for us.

    The descriptor stays in the mode it has: its open file is shared with the caller."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.register(connection, select.POLLIN)
    while True:
        ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            raise Refused(TIMED_OUT)
        if any(which != fd for which, _ in ready):
            raise ConnectionAbortedError  # the caller is gone, nobody would hear that it was queued
        try:
            block = os.read(fd, BLOCK)
        except BlockingIOError:
            continue
        if not block:
            return
        yield block


def _reply(connection: socket.socket, code: int) -> None:
    try:
        connection.settimeout(0)
        connection.send(bytes((code,)))
    except OSError:
        pass
    connection.close()


main = PROGRAM.entry(qmail_queued)
