"""qmail-send as a process, with the test at the other ends of its seven descriptors."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from qmail.core import queuefiles
from qmail.core.queuedir import Queue
from qmail.core.spawnproto import Command, CommandReader
from tests.support.instance import SPLIT, make_instance
from tests.support.launchers import ours

LOCAL, REMOTE = 0, 1
DEADLINE = 20.0


class Sender:
    """One qmail-send.  Everything that waits also plays qmail-clean: removes and answers `+`."""

    def __init__(
        self,
        home: Path,
        local: int = 120,
        remote: int = 120,
        env: dict[str, str] | None = None,
        handshake: bool = True,
        argv: Sequence[str] = (),
    ) -> None:
        """`argv`: what to run instead of our qmail-send."""
        self.home = home
        self.queue = Queue(os.fsencode(home / "queue"))
        self.log = b""
        self.seen = 0  # how much of the log was expected already
        self.cleaned: list[bytes] = []
        self.answer = b"+"
        self.commands: tuple[list[Command], list[Command]] = ([], [])
        self.sent = [b"", b""]  # the bytes of these commands
        self.readers = (CommandReader(), CommandReader())
        ours_in, theirs_out = zip(*[_pipe() for _ in range(4)], strict=True)  # log, local, remote, clean
        theirs_in, ours_out = zip(*[_pipe() for _ in range(3)], strict=True)  # local, remote, clean
        self.log_fd, *self.command_fds, self.clean_in = ours_in
        *self.report_fds, self.clean_out = ours_out
        if handshake:
            for fd, limit in zip(self.report_fds, (local, remote), strict=True):
                os.write(fd, bytes([limit]))
        log, to_local, to_remote, to_clean = theirs_out
        from_local, from_remote, from_clean = theirs_in
        order = (log, to_local, from_local, to_remote, from_remote, to_clean, from_clean)
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(order)]
        environment = {"QMAILHOME": str(home), "PATH": "/bin:/usr/bin", **(env or {})}
        file, words = (argv[0], argv) if argv else (ours("qmail-send"), ["qmail-send"])
        self.pid = os.posix_spawn(file, words, environment, file_actions=actions)
        for fd in order:
            os.close(fd)
        self.open = [self.log_fd, *self.command_fds, self.clean_in, *self.report_fds, self.clean_out]
        self.code: int | None = None

    def expect(self, *lines: bytes) -> None:
        """The next lines of the log, all of them."""
        wanted = b"".join(line + b"\n" for line in lines)
        self.wait(lambda: len(self.log) - self.seen >= len(wanted) or not wanted.startswith(self.log[self.seen :]))
        assert self.log[self.seen : self.seen + len(wanted)] == wanted, self.log
        self.seen += len(wanted)

    def until(self, line: bytes) -> None:
        """Skip the log up to and including a line."""
        self.wait(lambda: line + b"\n" in self.log[self.seen :])
        self.seen = self.log.index(line + b"\n", self.seen) + len(line) + 1

    def command(self, channel: int) -> Command:
        """The next command to a spawn program."""
        self.wait(lambda: bool(self.commands[channel]))
        return self.commands[channel].pop(0)

    def report(self, channel: int, data: bytes) -> None:
        """Bytes from a spawn program."""
        assert os.write(self.report_fds[channel], data) == len(data)

    def deliver(self, channel: int, letter_and_text: bytes) -> Command:
        """Take the next command, and report on it."""
        command = self.command(channel)
        self.report(channel, b"%c%b\0" % (command.delnum, letter_and_text))
        return command

    def wait(self, condition: Callable[[], bool]) -> None:
        """Let things happen until `condition`; fails when the time is up or qmail-send is gone."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, self.log
            if not self.pump():
                assert condition(), self.log
                return

    def pump(self) -> bool:
        """One poll.  False when the log has ended."""
        poll = select.poll()
        for fd in (self.log_fd, *self.command_fds, self.clean_in):
            if fd in self.open:
                poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(1000):
            data = os.read(fd, 65536)
            if fd == self.log_fd:
                self.log += data
                if not data:
                    return False
            elif fd == self.clean_in:
                self.clean(data)
            elif fd in self.command_fds:
                channel = self.command_fds.index(fd)
                self.sent[channel] += data
                self.commands[channel].extend(self.readers[channel].feed(data))
            if not data:
                self.close(fd)
        return True

    def clean(self, data: bytes) -> None:
        for name in data.split(b"\0")[:-1]:
            self.cleaned.append(name)
            kind, _, number = name.partition(b"/")
            if self.answer == b"+":
                remove = queuefiles.remove_todo if kind == b"todo" else queuefiles.remove_message
                remove(self.queue, int(number))
            os.write(self.clean_out, self.answer)

    def close(self, *fds: int) -> None:
        for fd in fds:
            self.open.remove(fd)
            os.close(fd)

    def kill(self, number: int) -> None:
        os.kill(self.pid, number)

    def end(self) -> int:
        """Exit code, after the log has ended."""
        if self.code is None:
            deadline = time.monotonic() + DEADLINE
            while self.pump():
                assert time.monotonic() < deadline, self.log
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code

    def terminate(self) -> int:
        self.kill(signal.SIGTERM)
        return self.end()

    def destroy(self) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.close(*list(self.open))


def _pipe() -> tuple[int, int]:
    """A pipe with numbers above those that posix_spawn puts in place."""
    ends = os.pipe()
    high = tuple(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in ends)
    for fd in ends:
        os.close(fd)
    return high[0], high[1]


Start = Callable[..., Sender]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start qmail-send in an instance with these control files."""
    running: list[Sender] = []

    def starter(local: int = 120, remote: int = 120, env: dict[str, str] | None = None, **control: str) -> Sender:
        home = tmp_path / "qmail"
        if control or not home.exists():
            home = make_instance(tmp_path, **control)
        running.append(Sender(home, local, remote, env))
        return running[-1]

    yield starter
    for sender in running:
        sender.destroy()


def files(home: Path, kind: str) -> list[str]:
    """Message numbers found in one kind of directory."""
    return sorted(path.name for path in (home / "queue" / kind).rglob("*") if path.is_file())


def path(home: Path, kind: str, number: int) -> Path:
    return home / "queue" / kind / str(number % SPLIT) / str(number)


IDLE = b"status: local 0/10 remote 0/20"
