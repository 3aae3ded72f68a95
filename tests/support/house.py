"""A machine of its own for a mail host: network, processes, mounts, accounts.  Needs root, and leaves no trace.

Linux namespaces, not a container: the programs and libraries are the system's, but /etc (so useradd makes real accounts
that nobody else sees), /var (so the mail host is in /var/qmail, as everywhere), /home, /run, /dev/log, the ports and
the addresses are the house's own.  When it is torn down, the kernel ends every process in it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.launchers import ROOT, Result
from tests.support.logs import shared_log
from tests.support.network import within
from tests.support.programs import programs
from ucspi.core import launchers

BIN = "/var/qmail/bin"
PYTHON = "/var/qmail/python"
PATH = f"{BIN}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIBRARIES = ("click", "dns", "cdbx", "_cdbx", "setproctitle")
ADDRESSES = ("192.168.1.1", "192.168.1.22", "192.168.1.30", "10.9.8.7")  # besides 127.0.0.0/8
T = TypeVar("T")
H = TypeVar("H", bound="House")

# The first process: sets the house up, then is what every init is, the one who buries the dead.
INIT = r"""
set -e
own=$1 prefix=$2 python=$3 places=$4
shift 4
for place in $places; do mount --bind "$own/$place" "/$place"; done
test -z "$prefix" || mount --bind "$prefix" /var/qmail/python
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs "$own/dev"
for device in null zero full random urandom tty; do
    touch "$own/dev/$device"
    mount --bind "/dev/$device" "$own/dev/$device"
done
ln -s /proc/self/fd "$own/dev/fd"
mkdir -m 1777 "$own/dev/shm"
mount --rbind "$own/dev" /dev
ip link set lo up
for address do ip address add "$address/32" dev lo; done
echo ready
exec "$python" -IS -c '
import os, time
while True:
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(0.1)
'
"""


class House:
    """One such machine, with our programs in /var/qmail/bin; `root` is its file system, seen from outside."""

    PLACES: tuple[str, ...] = ("etc", "var", "home")  # what is its own, besides /run and /dev

    def __init__(self) -> None:
        _demand_root()
        self.python, prefix = self._interpreter()
        # Other users must get there: neither TMPDIR nor pytest's directories are open to all.
        self._own = Path(tempfile.mkdtemp(prefix="house-", dir="/tmp"))
        self._own.chmod(0o755)
        self._logs: list[int] = []
        self._init: subprocess.Popen[bytes] | None = None
        self.pid = 0
        try:
            self._furnish()
            self._init = subprocess.Popen(
                [
                    "setpriv",
                    "--pdeathsig",
                    "KILL",
                    "unshare",
                    "--net",
                    "--mount",
                    "--pid",
                    "--fork",
                    "--kill-child",
                    "--mount-proc",
                ]
                + ["sh", "-c", INIT, "sh", str(self._own), str(prefix or ""), str(self.python)]
                + [" ".join(self.PLACES), *ADDRESSES],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            assert self._init.stdout is not None and self._init.stderr is not None
            if self._init.stdout.readline() != b"ready\n":
                reason = self._init.stderr.read().decode()
                pytest.skip(f"needs the right to make namespaces: {reason}")
            self.pid = _children(self._init.pid)[0]
            self.root = Path(f"/proc/{self.pid}/root")
        except BaseException:
            self.close()
            raise

    def __enter__(self: H) -> H:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything in the house, and take it away."""
        if self._init is not None:
            try:
                os.kill(self.pid or self._init.pid, signal.SIGKILL)  # the first process: all others go with it
            except ProcessLookupError:
                pass
            self._init.communicate()
        for fd in self._logs:
            os.close(fd)
        self._logs = []
        shutil.rmtree(self._own, ignore_errors=True)

    def _interpreter(self) -> tuple[Path, Path | None]:
        return _open_interpreter()

    def _furnish(self) -> None:
        for place in ("dev", "home", "var", "var/log", "var/qmail", "var/qmail/python", "var/tmp"):
            (self._own / place).mkdir(mode=0o755)
        (self._own / "var/tmp").chmod(0o1777)
        (self._own / "var/run").symlink_to("/run")
        subprocess.run(["cp", "-a", "/etc", self._own / "etc"], check=True)
        resolver = self._own / "etc/resolv.conf"
        resolver.unlink(missing_ok=True)
        resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self._install(self._own / "var/qmail")

    def _install(self, home: Path) -> None:
        """The project and its libraries, readable for all, as an installation by root has them."""
        lib = home / "lib"
        lib.mkdir(mode=0o755)
        for package in ("ucspi", "qmail"):
            shutil.copytree(ROOT / package, lib / package)
        for directory in (Path(entry) for entry in sys.path if entry.endswith("-packages")):
            for file in directory.iterdir():
                if file.name.partition(".")[0] in LIBRARIES and not (lib / file.name).exists():
                    (shutil.copytree if file.is_dir() else shutil.copy2)(file, lib / file.name)
        _open_to_all(lib)
        (home / "bin").mkdir(mode=0o755)
        for name, module in programs().items():
            launcher = home / "bin" / name
            launcher.write_text(
                launchers.TEMPLATE.format(python=str(self.python), paths=["/var/qmail/lib"], module=module)
            )
            launcher.chmod(0o755)

    def file(self, path: str) -> Path:
        """A file of the house, as we reach it."""
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Make a file in the house."""
        self.file(path).write_text(text)
        self.file(path).chmod(mode)

    def _inside(self, argv: Sequence[str], cwd: str) -> list[str]:
        enter = ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid"]
        return [*enter, "sh", "-c", 'cd "$0" && exec "$@"', cwd, *argv]

    def run(
        self,
        *argv: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        seconds: float = 60,
    ) -> Result:
        """Run a program in the house."""
        done = subprocess.run(
            self._inside(argv, cwd),
            input=stdin,
            capture_output=True,
            env={"PATH": PATH, **(env or {})},
            timeout=seconds,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def must(self, *argv: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, cwd: str = "/") -> bytes:
        """Run a program that has to succeed; returns its output."""
        result = self.run(*argv, stdin=stdin, env=env, cwd=cwd)
        assert result.code == 0, (argv, result)
        return result.out

    def start(self, *argv: str, env: Mapping[str, str] | None = None, cwd: str = "/") -> Service:
        """Start a program that stays."""
        log = shared_log()
        self._logs.append(log)
        process = subprocess.Popen(
            self._inside(argv, cwd),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": PATH, **(env or {})},
            start_new_session=True,
        )
        return Service(process, log)

    def socket(self) -> socket.socket:
        """A TCP socket on the house's network: which network a socket has is settled when it is made."""
        with within(self.pid):
            return socket.socket()

    def connect(self, port: int, address: str = "127.0.0.1", source: str = "") -> socket.socket:
        """A client in the house, once somebody listens."""
        deadline = time.monotonic() + 20
        while True:
            client = self.socket()
            client.settimeout(20)
            try:
                if source:
                    client.bind((source, 0))
                client.connect((address, port))
                return client
            except ConnectionRefusedError:
                client.close()
                assert time.monotonic() < deadline, f"nobody listens on port {port}"
                time.sleep(0.02)

    def account(self, name: str) -> tuple[int, int]:
        """uid and gid of a user of the house."""
        for line in self.file("/etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if fields[0] == name:
                return int(fields[2]), int(fields[3])
        raise KeyError(name)

    def processes(self) -> dict[str, set[int]]:
        """What ps shows: for each program's name, the uids that it runs as."""
        found: dict[str, set[int]] = {}
        for directory in self.file("/proc").glob("[0-9]*"):
            try:
                words = (directory / "cmdline").read_bytes().rstrip(b"\0").decode().replace("\0", " ").split(" ")
                status = (directory / "status").read_text()
            except OSError:
                continue  # gone
            uid = re.search(r"^Uid:\t(\d+)", status, re.M)
            words = [word for word in words if not re.match(r"-|.*/(python|sh$)", word)] or [""]
            if uid and directory.name != "1" and "State:\tZ" not in status:
                found.setdefault(os.path.basename(words[0]), set()).add(int(uid[1]))
        return found

    def wait_for(self, path: str, pattern: str = "", seconds: float = 20) -> str:
        """Wait until a file of the house has something; returns all that it has."""

        def look() -> str | None:
            try:
                text = self.file(path).read_text(errors="replace")
            except OSError:
                return None
            return text if re.search(pattern, text, re.M) else None

        return until(look, lambda: f"{pattern!r} in {path}: {look() or self._read(path)!r}", seconds)

    def _read(self, path: str) -> str:
        try:
            return self.file(path).read_text(errors="replace")
        except OSError as e:
            return str(e)

    def wait_for_files(self, directory: str, count: int = 1, seconds: float = 20) -> list[Path]:
        """Wait until a directory has that many files."""

        def look() -> list[Path] | None:
            found = sorted(self.file(directory).iterdir()) if self.file(directory).is_dir() else []
            return found if len(found) >= count else None

        return until(look, f"{count} files in {directory}", seconds)


class Service:
    """A program that stays, as started in a house."""

    def __init__(self, process: subprocess.Popen[bytes], log: int) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """What it has written to descriptors 1 and 2."""
        return os.pread(self._log, 1 << 20, 0).decode(errors="replace")

    def wait_for(self, pattern: str, seconds: float = 20) -> str:
        """Wait until it has written something."""
        return until(lambda: self.log if re.search(pattern, self.log) else None, lambda: self.log, seconds)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it, and wait for its end."""
        for pid in _children(self.process.pid):  # nsenter itself hands no signals on
            os.kill(pid, number)
        return self.process.wait(20)


def demand(program: str, package: str) -> None:
    """Skip the test if a program of Debian's is missing."""
    if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        pytest.skip(f"needs {program} (Debian package {package})")


def _demand_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: accounts, and ports below 1024")
    for program, package in (
        ("nsenter", "util-linux"),
        ("setpriv", "util-linux"),
        ("ip", "iproute2"),
        ("useradd", "passwd"),
    ):
        demand(program, package)


def _open_interpreter() -> tuple[Path, Path | None]:
    """An interpreter that every user of the house can start, and the directory to mount in its PYTHON for that.

    A virtual environment's may be below a directory that is closed to all but its owner."""
    python = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    if all(directory.stat().st_mode & 0o001 for directory in python.parents):
        return python, None
    return Path(PYTHON) / python.relative_to(Path(sys.base_prefix).resolve()), Path(sys.base_prefix)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _open_to_all(directory: Path) -> None:
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def until(look: Callable[[], T | None], what: str | Callable[[], str], seconds: float = 20) -> T:
    """Wait until `look` finds something; `what` is told if it does not."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(0.01)
