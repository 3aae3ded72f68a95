"""Run an instance's services in the foreground until SIGINT or SIGTERM.  qmail-serve(8).

    qmail-serve directory

Each directory/service/NAME/run is started as a supervisor would: in its own directory, again a second after it ended.
Logs go to descriptor 2; when SMTP and POP3 answer, one line on descriptor 1 says so.  A machine that serves mail
for long should give the same service directories to daemontools, runit or s6.

Exits 0 after a signal, 100 on bad usage, 111 when a service does not come up."""

from __future__ import annotations

import os
import select
import signal
import socket
import time

from ucspi.core import errtext, streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure

PROGRAM = Program("qmail-serve", __doc__, usage="qmail-serve directory", operands="DIRECTORY", title=True)

RESTART = 1.0  # seconds between two starts of a service, as supervise(8)
START = 30.0  # seconds that the services may take to answer
STOP = 10.0  # seconds that running deliveries may take after SIGTERM; then SIGKILL


class _Service:
    """One run script, the leader of a process group of its own."""

    def __init__(self, directory: bytes) -> None:
        self.directory = directory
        self.group = 0
        self.running = False
        self.due = 0.0

    def start(self, call: Call) -> None:
        def setup() -> None:
            os.setpgid(0, 0)
            os.chdir(self.directory)
            os.dup2(2, 1)

        self.group = call.spawn([self.directory + b"/run"], setup=setup)
        self.running = True
        self.due = time.monotonic() + RESTART

    def signal(self, number: int) -> None:
        """Signal the whole group, if there is anything left of it."""
        try:
            os.killpg(self.group, number)
        except (ProcessLookupError, PermissionError):
            pass


def qmail_serve(call: Call) -> int:
    """Start everything, say when it serves, keep it up, and leave nothing behind."""
    if len(call.operands) != 1:
        raise UsageFailure
    home = os.path.abspath(call.operands[0])
    wake, wake_end = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(wake_end, False)
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: stopped.append(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
    directory = home + b"/service"
    services = [_Service(directory + b"/" + name) for name in sorted(os.listdir(directory)) if name[:1] != b"."]
    endings = _Endings(call, services)
    announcement = _announcement(home)
    _free(announcement.places)
    ready: _Ready | None = announcement
    try:
        for service in services:
            service.start(call)
        deadline = time.monotonic() + START
        while not stopped:
            _sleep(wake, 0.05 if ready else endings.next_start())
            endings.reap()
            if not ready:
                endings.restart()
            elif endings.ended:
                raise TemporaryFailure(f"{os.fsdecode(endings.ended.directory)} does not stay up; its log says why")
            elif ready.answers():
                streams.write_all(1, ready.line)
                ready = None
            elif time.monotonic() > deadline:
                raise TemporaryFailure("the services do not answer")
    finally:
        signal.set_wakeup_fd(-1)
        _stop(services, endings)
    return 0


class _Endings:
    """Who has ended, and when it is to be started again."""

    def __init__(self, call: Call, services: list[_Service]) -> None:
        self.call = call
        self.services = services
        self.ended: _Service | None = None

    def reap(self) -> None:
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for service in self.services:
                if service.group == pid:
                    service.running = False
                    self.ended = service

    def next_start(self) -> float | None:
        down = [service.due for service in self.services if not service.running]
        return max(0.0, min(down) - time.monotonic()) if down else None

    def restart(self) -> None:
        for service in self.services:
            if not service.running and time.monotonic() >= service.due:
                service.signal(signal.SIGTERM)  # what the old one left behind would hold its port
                service.start(self.call)


class _Ready:
    """The line that is printed when all services answer."""

    def __init__(self, places: list[tuple[str, int]], line: bytes) -> None:
        self.places = places
        self.line = line

    def answers(self) -> bool:
        """True when every service that is left to ask greets us."""
        while self.places:
            try:
                with socket.create_connection(self.places[0], 1.0) as connection:
                    connection.settimeout(5.0)
                    if not connection.recv(1):
                        return False
            except OSError:
                return False
            self.places.pop(0)
        return True


def _announcement(home: bytes) -> _Ready:
    """Read where the services are from the file that the run scripts read, and the password from its own."""
    with open(home + b"/environment", "rb") as file:
        words = dict([word.split(b"=", 1) for word in file.read().split() if b"=" in word])
    with open(home + b"/password", "rb") as file:
        user, _, password = file.readline().strip().partition(b" ")
    domain = words[b"LOCAL"].strip(b"'")
    places = [(words[name + b"_ADDRESS"].decode(), int(words[name + b"_PORT"])) for name in (b"SMTP", b"POP3")]
    smtp, pop3 = [f"{address}:{port}".encode() for address, port in places]
    line = b"ready: smtp %b, pop3 %b, mailbox %b@%b, password %b\n" % (smtp, pop3, user, domain, password)
    return _Ready(places, line)


def _free(places: list[tuple[str, int]]) -> None:
    """Raise if a port cannot be had: who has it would answer, and his greeting would be taken for that of a service."""
    for address, port in places:
        try:
            family, kind, proto, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, proto) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(where)
        except socket.gaierror:
            continue  # tcpserver says so
        except OSError as e:
            raise TemporaryFailure(f"unable to serve on {address}:{port}: {errtext.text(e)}") from e


def _sleep(wake: int, seconds: float | None) -> None:
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    poll.poll(None if seconds is None else seconds * 1000)
    try:
        os.read(wake, 4096)
    except BlockingIOError:
        pass


def _stop(services: list[_Service], endings: _Endings) -> None:
    """SIGTERM to the leaders, so that qmail-send finishes its deliveries; then to the groups; then SIGKILL."""
    for service in services:
        if service.running:
            os.kill(service.group, signal.SIGTERM)
    deadline = time.monotonic() + STOP
    started = time.monotonic()
    left = [service for service in services if service.group]
    while left and time.monotonic() < deadline:
        endings.reap()
        if time.monotonic() - started > 0.5:  # clients that stay connected
            for service in left:
                if not service.running:
                    service.signal(signal.SIGTERM)
        alive = _living_groups()
        left = [service for service in left if service.group in alive]
        time.sleep(0.02)
    for service in left:
        service.signal(signal.SIGKILL)
    endings.reap()


def _living_groups() -> set[int]:
    """The process groups that have a living member.  A dead one may stand there for long: where process 1 is a slow
    or careless parent of orphans, as in many containers."""
    groups = set()
    for name in os.listdir(b"/proc"):
        if name.isdigit():
            try:
                with open(b"/proc/%b/stat" % name, "rb") as file:
                    state, _, group = file.read().rpartition(b") ")[2].split(maxsplit=3)[:3]
            except OSError:
                continue  # gone by now
            if state not in b"ZX":
                groups.add(int(group))
    return groups


main = PROGRAM.entry(qmail_serve)
