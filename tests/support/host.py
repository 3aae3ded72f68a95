"""A mail host as `make run` starts it: an instance made by qmail-instance, its services under qmail-serve."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import pytest

from tests.support import launchers
from tests.support.logs import shared_log
from tests.support.server import read_all

T = TypeVar("T")
READY = re.compile(
    rb"ready: smtp 127\.0\.0\.1:(\d+), pop3 127\.0\.0\.1:(\d+), mailbox (\S+)@(\S+), password ([0-9a-f]+)\n"
)


class Host:
    """One instance; `with host:` serves.  What is written into `control` and `service` before that counts."""

    def __init__(self, home: Path, env: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.env = {"PATH": f"{launchers.directory()}:/bin:/usr/bin", **(env or {})}
        self.smtp, self.pop3 = free_ports(2)
        self.process: subprocess.Popen[bytes] | None = None
        self.log_file = shared_log()
        self.make()
        user, password = (home / "password").read_text().split()
        self.user, self.password = user, password
        self.address = f"{user}@localhost"
        self.maildir = home / "home" / user / "Maildir"

    def make(self, *options: str) -> launchers.Result:
        """Run qmail-instance, as every start does."""
        places = ("-s", f"127.0.0.1:{self.smtp}", "-p", f"127.0.0.1:{self.pop3}")
        done = launchers.run(launchers.ours("qmail-instance"), *places, *options, str(self.home), env=self.env)
        assert done.code == 0, done
        return done

    def control(self, name: str, content: str | bytes | None) -> None:
        """Write a control file; None removes it."""
        file = self.home / "control" / name
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content.encode() if isinstance(content, str) else content)

    def __enter__(self) -> Host:
        argv = [launchers.ours("qmail-serve"), str(self.home)]
        self.process = subprocess.Popen(
            argv, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log_file
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert READY.fullmatch(line), (line, self.log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process is not None and self.process.stdout is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log
        self.process.stdout.close()
        if error is None:
            assert b"Traceback" not in self.log and b"internal error" not in self.log, self.log

    def close(self) -> None:
        """Nobody asks for the log any more."""
        os.close(self.log_file)

    @property
    def log(self) -> bytes:
        """What the services have said."""
        return os.pread(self.log_file, 1 << 24, 0)

    def wait_for(self, pattern: bytes, seconds: float = 20) -> re.Match[bytes]:
        """Wait until the log has something."""
        return until(lambda: re.search(pattern, self.log), seconds, lambda: f"{pattern!r} is not in {self.log!r}")

    def mail(self, count: int = 1, seconds: float = 20) -> list[bytes]:
        """Wait until the mailbox holds `count` messages and the queue none; the messages, oldest first."""

        def there() -> bool:
            return len(os.listdir(self.maildir / "new")) >= count and not self.queued()

        until(there, seconds, lambda: f"{os.listdir(self.maildir / 'new')} {self.queued()} {self.log!r}")
        new = sorted((self.maildir / "new").iterdir(), key=lambda file: file.stat().st_mtime_ns)
        assert len(new) == count
        assert os.listdir(self.maildir / "tmp") == []
        return [file.read_bytes() for file in new]

    def readable(self, count: int = 1) -> list[bytes]:
        """As mail, and wait until POP3 shows it all: qmail-pop3d leaves out what came in the current second."""
        found = self.mail(count, 60)
        newest = max(int(file.stat().st_mtime) for file in (self.maildir / "new").iterdir())
        until(lambda: time.time() >= newest + 1, 5, lambda: "a second does not end")
        return found

    def queued(self) -> list[str]:
        """Every file of every message in the queue, as `mess/5/28`."""
        return queue_files(self.home / "queue")

    def send(self, sender: str, recipients: list[str], message: bytes) -> dict[str, tuple[int, bytes]]:
        """Hand in a message by SMTP; returns the refused recipients.  Raises smtplib.SMTPException."""
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=60) as client:
            return client.sendmail(sender, recipients, message.replace(b"\n", b"\r\n"))

    def talk(self, data: bytes = b"", port: int | None = None) -> bytes:
        """Send all of `data`, close our half, read to the end."""
        with socket.create_connection(("127.0.0.1", port or self.smtp), 60) as client:
            try:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the other side has had enough
            return read_all(client)


def until(check: Callable[[], T], seconds: float, complaint: Callable[[], str]) -> T:
    """Wait until `check` gives something true; return that."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.01)


def holder(file: Path) -> int:
    """The process that holds a lock on it, once there is one."""
    inode = str(file.stat().st_ino)

    def found() -> int:
        locks = map(str.split, Path("/proc/locks").read_text().splitlines())
        return next((int(lock[4]) for lock in locks if lock[1] == "FLOCK" and lock[5].endswith(":" + inode)), 0)

    return until(found, 20, lambda: f"nobody holds {file}")


def queue_files(queue: Path) -> list[str]:
    """Every file of every message, relative to the queue."""
    found = (str(path.relative_to(queue)) for path in queue.rglob("*") if path.is_file())
    return sorted(name for name in found if not name.startswith("lock/"))


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that nobody has."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


@pytest.fixture
def host() -> Iterator[Host]:
    """A host that is not yet started.  Its path is short, for Unix sockets hold 107 bytes."""
    directory = tempfile.mkdtemp(prefix="host")
    os.chmod(directory, 0o755)
    try:
        with contextlib.closing(Host(Path(directory, "i"))) as host:
            yield host
    finally:
        shutil.rmtree(directory, ignore_errors=True)
