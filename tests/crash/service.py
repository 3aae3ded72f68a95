"""A whole mail host in processes of its own, started by forks of the test, so that it is up again in a moment.

qmail-start and what it starts, and tcpserver with qmail-smtpd, each in a session of its own; QMAILREMOTE stands for the
rest of the world.  `Load` hands in mail all the time, by SMTP and by qmail-inject, and writes down what was accepted."""

from __future__ import annotations

import os
import random
import signal
import smtplib
import time
from collections.abc import Callable
from pathlib import Path

from qmail.core.queuedir import SPLIT
from qmail.inject import main as qmail_inject
from qmail.newu import main as qmail_newu
from qmail.start import main as qmail_start
from tests.crash.mail import EVERYBODY, FAR, GONE, MAILDIR, NOBODY, SENDER, Message
from tests.support import launchers
from tests.support.host import free_ports
from ucspi.core import chain
from ucspi.tcpserver import main as tcpserver

REMOTE = """#!/bin/sh
# qmail-remote HOST SENDER RECIPIENT, and the rest of the world: what is sent away is a file, complete or not there
case "$3" in
far@*) cat >"$SINK/tmp.$$" && mv "$SINK/tmp.$$" "$SINK/new.$$.$(date +%N)" && printf 'r\\0Kok\\n\\0';;
*) printf 'hno such user\\n\\0DGiving up.\\n\\0';;
esac
"""
CROWD = 40  # messages in the queue at which the load waits: mail must not come faster than it goes
KINDS: tuple[tuple[bytes, ...], ...] = (EVERYBODY, (MAILDIR,), (MAILDIR,), (NOBODY,), (FAR, MAILDIR), (FAR,), (GONE,))


class Service:
    """One tree of processes, to be started again whenever it is down."""

    def __init__(
        self,
        main: chain.Main,
        argv: list[bytes],
        env: dict[bytes, bytes],
        fds: dict[int, int],
        setup: Callable[[], None] = os.setsid,
    ) -> None:
        self._fork = lambda: chain.fork(main, argv, env, fds, setup)
        self.sessions: list[int] = []
        self.pid = 0

    @property
    def running(self) -> bool:
        if self.pid and os.waitpid(self.pid, os.WNOHANG)[0]:
            self.pid = 0
        return self.pid != 0

    def ensure(self) -> None:
        """Start it unless it runs."""
        if not self.running:
            self.pid = self._fork()
            self.sessions = [*self.sessions[-5:], self.pid]

    def stop(self, number: int) -> None:
        """End it, and wait."""
        if self.pid:
            os.kill(self.pid, number)
            os.waitpid(self.pid, 0)
            self.pid = 0


class MailHost:
    """An instance in `home`, made by machine.make_home."""

    def __init__(self, home: Path, more: tuple[str, ...] = (), setup: Callable[[], None] = os.setsid) -> None:
        """`more`: addresses besides box, file and sender, without a .qmail file yet; gone has no home.

        `setup` is called in the process that becomes qmail-send, before it starts the others."""
        self.home, self.sink = home, home / "sink"
        self.sink.mkdir()
        remote = home / "remote"
        remote.write_text(REMOTE)
        remote.chmod(0o755)
        (home / "control/rcpthosts").write_text("here.example\n")
        self.env = {
            b"QMAILHOME": os.fsencode(home),
            b"PATH": os.fsencode(launchers.directory()) + b":/bin:/usr/bin",
            b"QMAILREMOTE": os.fsencode(remote),
            b"SINK": os.fsencode(self.sink),
            b"RELAYCLIENT": b"",
        }
        self.null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._users(more)
        (self.port,) = free_ports(1)
        smtp = [b"tcpserver", b"-HRl0", b"-c", b"10", b"127.0.0.1", b"%d" % self.port, b"qmail-smtpd"]
        self._log = os.open(home / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.lives: list[int] = []  # how long the log was whenever qmail-send was started
        fds = {0: self.null, 1: self._log, 2: self._log}
        self.qmail = Service(qmail_start, [b"qmail-start", b"./Maildir/"], self.env, fds, setup)
        self.services = [self.qmail, Service(tcpserver, smtp, self.env, fds)]

    def _users(self, more: tuple[str, ...]) -> None:
        about = self.home.stat()
        line = f"=%s:u:{about.st_uid}:{about.st_gid}:{self.home}%s:-:%s:\n"
        boxes = {"box": "./Maildir/", "file": "./mbox", "sender": "./Bounces/"}
        for name, delivery in boxes.items():
            (self.home / f".qmail-{name}").write_text(delivery + "\n")
        homes = {"gone": "/missing"}
        assign = "".join(line % (name, homes.get(name, ""), name) for name in (*boxes, *more))
        (self.home / "users/assign").write_text(assign + ".\n")
        self.home.chmod(0o755)
        assert run(qmail_newu, [b"qmail-newu"], self.env, {0: self.null}) == 0

    @property
    def log(self) -> bytes:
        """What qmail-send has logged, and what went wrong anywhere."""
        return os.pread(self._log, 1 << 26, 0)

    def sent(self) -> list[bytes]:
        """What has gone away."""
        return [path.read_bytes() for path in self.sink.glob("new.*")]

    def processes(self, sessions: list[int]) -> list[int]:
        """All that belong to these sessions."""
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return sorted(pid for pid in pids if (family := relations(pid)) and family[1] in sessions)

    def ensure(self) -> None:
        if not self.qmail.running:
            self.lives.append(os.fstat(self._log).st_size)
        for service in self.services:
            service.ensure()

    def close(self) -> None:
        for service in self.services:
            service.stop(signal.SIGTERM)
        kill(*self.processes([sid for service in self.services for sid in service.sessions]))
        os.close(self.null)
        os.close(self._log)


class Load:
    """A process that hands in mail until it is stopped.  Its record: `?name kind` begun, `+name` accepted."""

    def __init__(self, host: MailHost, name: str, send: Callable[[MailHost, Message], bool], seed: int) -> None:
        self.record = host.home / f"load.{name}"
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                self._work(host, name, send, random.Random(f"{seed}{name}"))
            finally:
                os._exit(0)

    def _work(
        self, host: MailHost, name: str, send: Callable[[MailHost, Message], bool], chance: random.Random
    ) -> None:
        with open(self.record, "a", buffering=1) as record:
            for count in range(1 << 30):
                while sum(len(os.listdir(host.home / "queue/mess" / str(i))) for i in range(SPLIT)) > CROWD:
                    time.sleep(0.01)
                kind = chance.randrange(len(KINDS))
                message = make(f"{name}{count}", kind)
                record.write(f"?{message.name} {kind}\n")
                if send(host, message):
                    record.write(f"+{message.name}\n")
                time.sleep(chance.random() * 0.02)

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def told(self) -> tuple[list[Message], set[str]]:
        """All messages, and the names of those that were accepted."""
        lines = self.record.read_text().splitlines()
        begun = [line[1:].split() for line in lines if line[0] == "?"]
        return [make(name, int(kind)) for name, kind in begun], {line[1:] for line in lines if line[0] == "+"}


def make(name: str, kind: int) -> Message:
    """A message whose header no program has anything to add to."""
    message = Message(name, KINDS[kind], size=70000 if kind == 0 and len(name) % 2 else 600)
    date = b"Date: 2 Jan 2026 03:04:05 -0000\nFrom: sender@here.example\nTo: box@here.example\n"
    message.text = b"Message-ID: <%b@here.example>\n%b%b" % (name.encode(), date, message.text)
    return message


def by_smtp(host: MailHost, message: Message) -> bool:
    """True if the answer was 250."""
    try:
        with smtplib.SMTP("127.0.0.1", host.port, timeout=30) as client:
            to = [recipient.decode() for recipient in message.recipients]
            return not client.sendmail(SENDER.decode(), to, message.text.replace(b"\n", b"\r\n"))
    except (OSError, smtplib.SMTPException):
        return False


def by_inject(host: MailHost, message: Message) -> bool:
    """True if qmail-inject exits 0."""
    fd = os.memfd_create("message")
    os.write(fd, message.text)
    os.lseek(fd, 0, os.SEEK_SET)
    try:
        argv = [b"qmail-inject", b"-a", b"-f", SENDER, *message.recipients]
        return run(qmail_inject, argv, host.env, {0: fd, 1: host.null, 2: host.null}) == 0
    finally:
        os.close(fd)


def run(main: chain.Main, argv: list[bytes], env: dict[bytes, bytes], fds: dict[int, int]) -> int:
    """Run a program in a fork; its exit code, or -9."""
    return os.waitstatus_to_exitcode(os.waitpid(chain.fork(main, argv, env, fds), 0)[1])


def relations(pid: int) -> tuple[int, int] | None:
    """Parent and session of a process that lives; else None."""
    try:
        fields = Path("/proc", str(pid), "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in b"ZX" else (int(fields[1]), int(fields[3]))


def kill(*pids: int) -> None:
    """Kill, and wait until they are dead: children of others, mostly."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    while any(relations(pid) for pid in pids):
        time.sleep(0.001)
