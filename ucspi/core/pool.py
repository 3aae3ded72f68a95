"""Worker processes that accept connections themselves, one at a time each, up to a limit.

The parent forks workers that are born warm, and accepts nothing itself.  A table in shared memory, one byte a worker,
says who is idle and who is busy; a worker that takes the last idle place writes a byte to the parent, which forks
another.  So a busy server costs the parent nothing, and one that is idle shrinks to a few workers.

Nothing of one connection survives into the next: descriptors are closed, and a worker in which anything else that a
program can change (ids, directory, umask, limits, signals) differs afterwards, or whose memory has grown, is replaced.
When the parent ends, idle workers see the end of the control pipe and end too; busy ones first serve their client."""

from __future__ import annotations

import errno
import gc
import mmap
import os
import resource
import select
import socket
import time

from ucspi.core import command
from ucspi.core import signals as signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    Address = tuple[str, int] | tuple[str, int, int, int]  # IPv4, IPv6

LIFE = 500  # connections a worker serves; then a fresh one takes its place, whatever the programs may have leaked
GROWN = 32 * 1024  # KiB of memory above what it was born with, after which a worker ends early
PATIENCE = 3.0  # seconds between looks at whether the pool is larger than it need be
PAUSE = 1.0  # seconds without a fork after one that failed
SPARE = 2  # idle workers kept

NOBODY, IDLE, BUSY = b"\0", b"\1", b"\2"

_LIMITS = (
    resource.RLIMIT_AS,
    resource.RLIMIT_CORE,
    resource.RLIMIT_CPU,
    resource.RLIMIT_DATA,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_MEMLOCK,
    resource.RLIMIT_NOFILE,
    resource.RLIMIT_NPROC,
    resource.RLIMIT_RSS,
    resource.RLIMIT_STACK,
)
_SIGNALS = (
    signal.SIGALRM,
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGPIPE,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGXFSZ,
)


class Service:
    """What a pool does with a connection, and whom it tells."""

    def serve(self, connection: socket.socket, address: Address, place: int) -> int:
        """Serve one connection on descriptors 0 and 1, in the worker at `place`.  Returns a wait status."""
        raise NotImplementedError

    def accepted(self, pid: int, busy: int) -> None:
        """A worker has taken a connection: `busy` of them are at work now.  Called in the worker."""

    def ended(self, pid: int, status: int, busy: int, place: int) -> None:
        """A connection has ended.  Called in the worker, or in the parent if the worker ended with it."""

    def trouble(self, error: OSError) -> None:
        """No worker could be forked.  Called in the parent, or in the child that is none; the parent tries again."""


class Pool:
    """The parent's side: forks, reaps and retires workers.  `run` returns on SIGTERM only."""

    def __init__(self, listener: socket.socket, limit: int, service: Service, *, once: bool = False) -> None:
        """`once`: a worker serves one connection and ends with it, for chains that really exec."""
        self.listener = listener
        self.limit = limit
        self.service = service
        self.once = once
        self.table = mmap.mmap(-1, limit)
        self.slots: dict[int, int] = {}  # pid -> place in the table
        self.control, self._control_end = os.pipe()
        self._wake, self.wake_end = os.pipe()
        for fd in (self.control, self._control_end, self._wake, self.wake_end):
            os.set_blocking(fd, False)
        self._terminated = False
        self._busiest = 0.0
        self._not_before = 0.0  # no fork until then

    def run(self) -> int:
        """Serve until SIGTERM.  Returns 0; connections in progress are left alone."""
        signal.signal(signal.SIGTERM, self._terminate)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake_end, warn_on_full_buffer=False)
        self.listener.setblocking(False)
        gc.collect()
        gc.freeze()  # what is here now stays: collections in the workers need not touch, and so copy, its pages
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        while not self._terminated:
            self._reap()
            healthy = self._grow()
            waited = not poll.poll((PATIENCE if healthy else PAUSE) * 1000)
            _drain(self._wake)
            if waited:
                self._shrink()
        return 0

    def idle(self) -> int:
        """Workers waiting for a connection."""
        return self.table[:].count(IDLE)

    def busy(self) -> int:
        """Workers with a connection."""
        return self.table[:].count(BUSY)

    def _terminate(self, *_: object) -> None:
        self._terminated = True

    def _grow(self) -> bool:
        while len(self.slots) < self.limit and self.idle() < min(SPARE, self.limit) and not self._terminated:
            if time.monotonic() < self._not_before:
                return False
            slot = min(set(range(self.limit)) - set(self.slots.values()))  # of nobody, not even one to be waited for
            self.table[slot : slot + 1] = IDLE
            try:
                pid = os.fork()
            except OSError as e:
                self.table[slot : slot + 1] = NOBODY
                self.service.trouble(e)
                self._not_before = time.monotonic() + PAUSE
                return False
            if pid == 0:
                self._work(slot)
            self.slots[pid] = slot
            self._busiest = time.monotonic()
            self._reap()
        return True

    def _shrink(self) -> None:
        _drain(self.control)  # what nobody was idle enough to take last time
        surplus = self.idle() - SPARE
        if surplus > 0 and time.monotonic() - self._busiest >= PATIENCE:
            os.write(self._control_end, b"-" * ((surplus + 1) // 2))

    def _reap(self) -> None:
        while self.slots:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            slot = self.slots.pop(pid, None)
            if slot is not None:
                was = self.table[slot : slot + 1]
                self.table[slot : slot + 1] = NOBODY
                if was == BUSY:
                    self.service.ended(pid, status, self.busy(), slot)
                elif was == IDLE and os.WIFEXITED(status):  # it could not begin; the next one would fare no better
                    self._not_before = time.monotonic() + PAUSE

    def _work(self, slot: int) -> NoReturn:
        code = 111
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.close(self._control_end)
            os.close(self._wake)
            try:
                worker = _Worker(self, slot)
            except OSError as e:  # no descriptors left, for one
                self.service.trouble(e)
            else:
                code = worker.run()
        except BaseException as e:
            command.report("pool", f"internal error in worker: {type(e).__name__}: {e}")
        finally:
            os._exit(code & 255)


class _Worker:
    """The child's side."""

    def __init__(self, pool: Pool, slot: int) -> None:
        self.pool = pool
        self.slot = slot
        self.pid = os.getpid()
        self.parent = os.getppid()
        self.null = os.open("/dev/null", os.O_RDWR)
        self.stderr = _duplicate(2)
        # Several workers wait for one listener: EPOLLEXCLUSIVE wakes one of them, not all.
        self.epoll = select.epoll()
        self.epoll.register(pool.listener.fileno(), select.EPOLLIN | select.EPOLLEXCLUSIVE)
        self.epoll.register(pool.control, select.EPOLLIN)  # rare, and at the parent's end meant for all
        self.leaks = _gaps()
        self.born = _memory()
        self.state = _state()

    def run(self) -> int:
        for _ in range(LIFE):
            accepted = self._accept()
            if accepted is None:
                break
            status = self._serve(*accepted)
            if self.pool.once:
                # The parent reports the end, as it would after an exec.
                os._exit(os.waitstatus_to_exitcode(status) & 255)
            self._clean()
            self._mark(IDLE)
            self.pool.service.ended(self.pid, status, self.pool.busy(), self.slot)
            if _state() != self.state or _memory() > self.born + GROWN or os.getppid() != self.parent:
                break
        self._mark(NOBODY)
        return 0

    def _mark(self, what: bytes) -> None:
        self.pool.table[self.slot : self.slot + 1] = what

    def _accept(self) -> tuple[socket.socket, Address] | None:
        while True:
            try:
                return self.pool.listener.accept()
            except BlockingIOError:
                self.epoll.poll()
                try:
                    os.read(self.pool.control, 1)  # a byte: one too many of us; end of file: the parent is gone
                    return None
                except BlockingIOError:
                    continue
            except OSError as e:
                # The client is gone already, or the system is short of something: neither may make us spin.
                if e.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    time.sleep(0.2)

    def _serve(self, connection: socket.socket, address: Address) -> int:
        self._mark(BUSY)
        if not self.pool.idle():
            try:
                os.write(self.pool.wake_end, b"+")
            except OSError:
                pass  # full of other bytes that say the same
        self.pool.service.accepted(self.pid, self.pool.busy())
        with connection:
            return self.pool.service.serve(connection, address, self.slot)

    def _clean(self) -> None:
        """Close the connection and whatever else was opened; put back descriptor 2."""
        os.dup2(self.null, 0)
        os.dup2(self.null, 1)
        os.dup2(self.stderr, 2)
        for first, end in self.leaks:
            os.closerange(first, end)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # what a program started and did not wait for
        except ChildProcessError:
            pass


def _gaps() -> list[tuple[int, int]]:
    """The ranges of numbers that no descriptor has: what is open there later was opened by a program, and left open."""
    gaps, free = [], 3
    for fd in sorted(int(name) for name in os.listdir("/proc/self/fd")):
        if fd >= free and _is_open(fd):  # the directory itself is not, any more
            if fd > free:
                gaps.append((free, fd))
            free = fd + 1
    return [*gaps, (free, 1 << 20)]


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _duplicate(fd: int) -> int:
    try:
        return os.dup(fd)
    except OSError:  # started without a descriptor 2
        return os.open("/dev/null", os.O_WRONLY)


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _state() -> tuple[object, ...]:
    """Everything a program can change in its process and that the next one would see."""
    try:
        here = os.stat(".")
        directory = (here.st_dev, here.st_ino)
    except OSError:
        directory = None  # removed, or not ours to look at: as long as that does not change
    umask = os.umask(0o77)
    os.umask(umask)
    limits = tuple([resource.getrlimit(limit) for limit in _LIMITS])
    handlers = tuple([signal.getsignal(number) for number in _SIGNALS])
    return (os.getresuid(), os.getresgid(), os.getgroups(), directory, umask, limits, handlers)


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        pass
