"""Real engines: Debian's clamd and spamd, as processes of the tests with a configuration of their own.

clamd has a signature database of two lines, spamd the rules of its package without network tests."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import pytest

from qmail.scanner import probing
from qmail.scanner.verdict import Verdict
from tests.support.host import free_ports
from tests.support.house import demand, until
from tests.support.logs import shared_log

VIRUS = "Eicar-Test-Signature"
FOUND = b"Eicar-Test-Signature.UNOFFICIAL"  # as clamd calls what no vendor has signed
LOADED = 60.0  # seconds that an engine may take to start on a slow machine

CLAMD = """\
Foreground yes
LocalSocket {directory}/clamd.ctl
LocalSocketMode 666
TCPSocket {port}
TCPAddr 127.0.0.1
DatabaseDirectory {directory}/signatures
TemporaryDirectory {directory}/tmp
LogFile {directory}/clamd.log
StreamMaxLength 60M
MaxThreads 4
"""


class Engine:
    """A process that answers at `address` as an engine of its kind does."""

    kind = ""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="engine-", dir="/tmp"))
        self.directory.chmod(0o755)
        self.log_file = shared_log()
        fcntl.fcntl(self.log_file, fcntl.F_SETFL, os.O_APPEND)
        self.process: subprocess.Popen[bytes] | None = None
        self.address = b""

    def argv(self) -> Sequence[str]:
        """How it is started."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it answers."""
        argv = ["setpriv", "--pdeathsig", "KILL", *self.argv()]  # ends with the tests, unless it changes its user
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=self.log_file, start_new_session=True
        )
        until(self.answers, lambda: f"{self.kind}: {os.pread(self.log_file, 10000, 0)!r}", LOADED)

    def answers(self) -> bool:
        """Does it?"""
        assert self.process is not None and self.process.poll() is None, os.pread(self.log_file, 10000, 0)
        return probing.is_there(self.kind, self.address)

    def stop(self) -> None:
        """Stop it, at once."""
        if self.process is not None:
            os.killpg(self.process.pid, 9)
            self.process.wait()
            self.process = None

    def says(self, message: bytes) -> Verdict:
        """Its verdict."""
        return probing.says(self.kind, self.address, message)

    def __enter__(self) -> Engine:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        os.close(self.log_file)
        shutil.rmtree(self.directory, ignore_errors=True)


class RealClamd(Engine):
    """clamd, which knows EICAR."""

    kind = "clamd"

    def __init__(self) -> None:
        demand("clamd", "clamav-daemon")
        super().__init__()
        signatures = self.directory / "signatures"
        for place in (signatures, self.directory / "tmp"):
            place.mkdir()
        (signatures / "test.hdb").write_text(f"44d88612fea8a8f36de82e1278abb02f:68:{VIRUS}\n")
        (signatures / "test.ndb").write_text(f"{VIRUS}:0:*:{probing.EICAR.hex()}\n")
        (self.port,) = free_ports(1)
        self.config = self.directory / "clamd.conf"
        self.config.write_text(CLAMD.format(directory=self.directory, port=self.port))
        self.address = os.fsencode(self.directory / "clamd.ctl")
        self.tcp = b"127.0.0.1:%d" % self.port

    def argv(self) -> Sequence[str]:
        return ["/usr/sbin/clamd", "--config-file", str(self.config)]


class RealSpamd(Engine):
    """spamd, with rules but without network, users, or anything to learn."""

    kind = "spamd"

    def __init__(self) -> None:
        demand("spamd", "spamd")
        super().__init__()
        for plugins in Path("/etc/spamassassin").glob("*.pre"):
            shutil.copy(plugins, self.directory)
        (self.directory / "local.cf").write_text("use_bayes 0\nrequired_score 5.0\n")
        (self.port,) = free_ports(1)
        self.address = b"127.0.0.1:%d" % self.port

    def argv(self) -> Sequence[str]:
        where = f"--helper-home-dir={self.directory}"
        listen = f"--listen=127.0.0.1:{self.port}"
        options = [
            "--local",
            "--nouser-config",
            "--max-children=2",
            "--syslog=stderr",
            f"--siteconfigpath={self.directory}",
        ]
        who = ["--username=nobody"] if os.getuid() == 0 else []
        return ["/usr/sbin/spamd", *options, listen, where, *who]


@pytest.fixture(scope="session")
def clamd() -> Iterator[RealClamd]:
    """One clamd for all tests of a session."""
    engine = RealClamd()
    with engine:
        yield engine


@pytest.fixture(scope="session")
def spamd() -> Iterator[RealSpamd]:
    """One spamd for all tests of a session."""
    engine = RealSpamd()
    with engine:
        yield engine
