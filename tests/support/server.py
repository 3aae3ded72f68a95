"""A tcpserver, ours or the original, around a chain of programs; and the ways a chain can run."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.support import launchers
from tests.support.logs import shared_log

# Ours in a pool worker, and ours with every exec a real one.  What a program sees must not differ.
WAYS = {"in-process": {}, "exec": {"UCSPI_EXEC": "1"}}


class Server:
    """`tcpserver OPTIONS 127.0.0.1 0 PROGRAM`, on a port that -1 tells; stopped with SIGTERM at the end."""

    def __init__(
        self,
        program: Sequence[str | bytes],
        options: Sequence[str | bytes] = ("-HRl0",),
        env: Mapping[str, str | bytes] | None = None,
        *,
        tcpserver: str | None = None,
        wrapper: Sequence[str] = (),
        cwd: str | Path | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self.address = address
        environment: dict[str, str | bytes] = {"PATH": f"{launchers.directory()}:/bin:/usr/bin", **(env or {})}
        argv = [*(wrapper or [tcpserver or launchers.ours("tcpserver")]), "-1v", *options, address, "0", *program]
        self.log_file = shared_log()
        self.process = subprocess.Popen(
            argv, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=self.log_file, start_new_session=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"it did not start: {self.log!r}"
        self.port = int(line)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(10)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        assert self.process.stdout is not None
        self.process.stdout.close()
        os.close(self.log_file)

    @property
    def log(self) -> bytes:
        """What stands on descriptor 2 so far."""
        return os.pread(self.log_file, 1 << 20, 0)

    def connect(self, source: str | None = None) -> socket.socket:
        """A client."""
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        client = socket.socket(family, socket.SOCK_STREAM)
        client.settimeout(20)
        if source:
            client.bind((source, 0))
        client.connect((self.address, self.port))
        return client

    def talk(self, data: bytes = b"", source: str | None = None) -> bytes:
        """Send all of `data`, close our half, and read to the end."""
        with self.connect(source) as client:
            client.sendall(data)
            try:
                client.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the other side was faster
            return read_all(client)

    def wait_for(self, pattern: bytes, seconds: float = 10) -> re.Match[bytes]:
        """Wait until the log has something."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.log)
            if found:
                return found
            assert time.monotonic() < deadline, f"{pattern!r} is not in {self.log!r}"
            time.sleep(0.005)


def read_all(client: socket.socket) -> bytes:
    """Everything up to the end of the connection, however it ends."""
    parts = []
    try:
        while data := client.recv(65536):
            parts.append(data)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def normal(log: bytes, port: int) -> bytes:
    """A log without the numbers that differ from run to run: pids and client ports."""
    log = log.replace(b":%d " % port, b":LOCALPORT ")
    log = re.sub(rb"(pid|ok|deny|end) \d+", rb"\1 PID", log)
    return re.sub(rb":\d+$", b":PORT", log, flags=re.M)
