"""The pool on a real listener: who serves, how many, and that nothing of one connection reaches the next."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from types import TracebackType

import pytest

from tests.support.server import read_all
from ucspi.core import pool


def leave_open() -> None:
    for _ in range(50):
        os.open("/dev/null", os.O_RDONLY)


def lower_limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (12345, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def grow() -> None:
    HELD.append(b"x" * 60_000_000)


def divert_stderr() -> None:
    os.dup2(os.open("/dev/null", os.O_WRONLY), 2)


HELD: list[bytes] = []
# What a program may do to its process, and whether the worker must end with it.
DEEDS: dict[bytes, tuple[Callable[[], object], bool]] = {
    b"nothing": (lambda: None, False),
    b"descriptors": (leave_open, False),
    b"stderr": (divert_stderr, False),
    b"close": (lambda: (os.close(0), os.close(1)), False),
    b"directory": (lambda: os.chdir("/proc"), True),
    b"umask": (lambda: os.umask(0o77), True),
    b"limit": (lower_limit, True),
    b"handler": (lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN), True),
    b"memory": (grow, True),
}
if os.geteuid() == 0:
    DEEDS[b"group"] = (lambda: os.setgroups([1]), True)
    DEEDS[b"uid"] = (lambda: os.setresuid(65534, 65534, 65534), True)


class Deeds(pool.Service):
    """The client names a deed, or `exit`, `die`, `wait`; it hears how the process looked before."""

    def __init__(self, events: int) -> None:
        self.events = events

    def serve(self, connection: socket.socket, address: object, place: int) -> int:
        for fd in (0, 1):
            os.dup2(connection.fileno(), fd)
        said = connection.recv(100)
        connection.sendall(f"{os.getpid()} {look()}\n".encode())
        if said == b"exit":
            os._exit(3)
        if said == b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        if said == b"wait":
            connection.recv(1)
            return 7 << 8
        DEEDS[said][0]()
        return 0

    def accepted(self, pid: int, busy: int) -> None:
        os.write(self.events, b"accepted %d %d\n" % (pid, busy))

    def ended(self, pid: int, status: int, busy: int, place: int) -> None:
        os.write(self.events, b"ended %d %d %d\n" % (pid, status, busy))


def look() -> str:
    """What the next program could see of the process."""
    directory = os.open("/proc/self/fd", os.O_RDONLY)
    count = len(os.listdir(directory))
    os.close(directory)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    umask = os.umask(0o22)
    os.umask(umask)
    stderr = os.readlink("/proc/self/fd/2")
    ids = (os.getresuid(), os.getgroups())
    return f"{count} {limit} {umask} {os.getcwd()} {stderr} {ids} {signal.getsignal(signal.SIGHUP)} {len(HELD)}"


class Running:
    """A pool in a process of its own."""

    def __init__(self, limit: int = 10, *, once: bool = False) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._events, events = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 99
            try:
                os.close(self._events)
                code = pool.Pool(self.listener, limit, Deeds(events), once=once).run()
            finally:
                os._exit(code)
        os.close(events)
        self.listener.close()
        self.seen = b""
        self.ended = False

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.ended:
            self.stop()
        os.close(self._events)

    def stop(self) -> int:
        os.kill(self.pid, signal.SIGTERM)
        self.ended = True
        return os.waitpid(self.pid, 0)[1]

    def connect(self, said: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), 20)
        client.sendall(said)
        return client

    def ask(self, said: bytes) -> tuple[int, str]:
        """Who served, and what it looked like before."""
        with self.connect(said) as client:
            pid, _, text = read_all(client).decode().partition(" ")
        return int(pid), text

    def event(self, pattern: bytes) -> None:
        """Wait for an event."""
        while pattern not in self.seen:
            data = os.read(self._events, 4096)
            assert data, (pattern, self.seen)
            self.seen += data


@pytest.fixture
def running() -> Iterator[Running]:
    with Running(1) as made:  # one worker: the next connection is certain to come to the same, or to its successor
        yield made


@pytest.mark.parametrize("deed", list(DEEDS))
def test_nothing_of_a_connection_is_left_for_the_next(running: Running, deed: bytes) -> None:
    first, before = running.ask(b"nothing")
    second, same = running.ask(deed)
    third, after = running.ask(b"nothing")
    assert before == same == after
    assert first == second
    assert (third != second) == DEEDS[deed][1]


def test_a_worker_serves_so_many_connections_and_is_replaced(running: Running) -> None:
    served: dict[int, int] = {}
    for _ in range(pool.LIFE + 10):
        pid, _ = running.ask(b"nothing")
        served[pid] = served.get(pid, 0) + 1
    assert sorted(served.values()) == [10, pool.LIFE]


@pytest.mark.parametrize(("deed", "status"), [(b"exit", 3 << 8), (b"die", signal.SIGKILL), (b"nothing", 0)])
def test_every_end_is_told_with_its_status(running: Running, deed: bytes, status: int) -> None:
    pid, _ = running.ask(deed)
    running.event(b"accepted %d 1\n" % pid)
    running.event(b"ended %d %d 0\n" % (pid, status))
    assert running.ask(b"nothing")[1]


def test_as_many_are_served_at_a_time_as_the_limit_says() -> None:
    with Running(5) as running:
        clients = [running.connect(b"wait") for _ in range(5)]
        pids = {client.recv(10).split()[0] for client in clients}
        assert len(pids) == 5
        running.event(b" 5\n")
        late = running.connect(b"nothing")
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.recv(1)
        clients[0].sendall(b"x")
        late.settimeout(20)
        assert late.recv(10).split()[0] in pids
        running.event(b" 1792 ")
        for client in (*clients, late):
            client.close()


def test_once_means_a_process_for_every_connection() -> None:
    with Running(4, once=True) as running:
        pids = [running.ask(b"nothing")[0] for _ in range(20)]
        assert len(set(pids)) == 20
        pid, _ = running.ask(b"exit")
        running.event(b"ended %d 768 " % pid)


def test_sigterm_ends_the_pool_and_leaves_connections_alone(running: Running) -> None:
    with running.connect(b"wait") as client:
        pid = int(client.recv(10).split()[0])
        assert running.stop() == 0
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", running.port), 0.2).sendall(b"x")
            raise ConnectionRefusedError  # the busy worker still holds the listener, but nobody accepts
        os.kill(pid, 0)
        client.sendall(b"x")
        running.event(b"ended %d 1792 0\n" % pid)


def test_when_the_parent_is_gone_so_are_idle_workers() -> None:
    running = Running(3)
    pid, _ = running.ask(b"nothing")
    os.kill(running.pid, signal.SIGKILL)
    os.waitpid(running.pid, 0)
    deadline = time.monotonic() + 10
    while _alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.ended = True
    running.__exit__(None, None, None)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


class Troubled(Deeds):
    def trouble(self, error: OSError) -> None:
        os.write(self.events, b"%d\n" % (error.errno or 0))


def test_workers_that_cannot_begin_are_tried_again_but_not_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        told, events = os.pipe()
        usual = resource.getrlimit(resource.RLIMIT_NOFILE)
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                crew = pool.Pool(listener, 10, Troubled(events))
                resource.setrlimit(resource.RLIMIT_NOFILE, (crew.wake_end, usual[1]))  # no number is left below it
                code = crew.run()
            finally:
                os._exit(code)
        failures = 0
        while failures < 4:
            failures += os.read(told, 100).count(b"%d\n" % errno.EMFILE)
        assert time.monotonic() - began >= pool.PAUSE  # at most two at a time
        resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
        with socket.create_connection(listener.getsockname(), 20) as client:
            client.sendall(b"nothing")
            assert read_all(client)
        os.kill(pid, signal.SIGTERM)
        assert os.waitpid(pid, 0)[1] == 0
        os.close(told)
        os.close(events)


def test_a_place_is_free_when_whoever_had_it_has_been_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the end of one worker would be taken for that of the one after it."""
    children = iter(range(1001, 2000))
    monkeypatch.setattr(os, "fork", lambda: next(children))
    monkeypatch.setattr(os, "waitpid", lambda pid, flags: (0, 0))
    with socket.socket() as listener:
        served = pool.Pool(listener, 5, pool.Service())
        served._grow()
        assert served.slots == {1001: 0, 1002: 1}
        served.table[0:1] = pool.NOBODY  # it has served its life, and is on its way out
        served._grow()
        assert served.slots == {1001: 0, 1002: 1, 1003: 2}
        monkeypatch.setattr(os, "waitpid", lambda pid, flags: (1001, 0) if 1001 in served.slots else (0, 0))
        served._reap()
        assert served.idle() == 2
        served.table[1:2] = pool.BUSY
        served._grow()  # at once: a worker that has done its work is no sign of trouble
        assert served.slots == {1002: 1, 1003: 2, 1004: 0}
        for fd in (served.control, served._control_end, served._wake, served.wake_end):
            os.close(fd)
