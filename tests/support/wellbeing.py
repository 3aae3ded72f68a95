"""A host of `make run` that is to be tried hard: what its replies are, and the proof that it is well."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.host import Host, until
from tests.support.server import WAYS

GREETING, BYE = b"220 localhost ESMTP\r\n", b"221 localhost\r\n"
OK, GO = b"250 ok\r\n", b"354 go ahead\r\n"
UNKNOWN = b"502 unimplemented (#5.5.1)\r\n"
LONG = b"555 syntax error (#5.5.4)\r\n"
BARE = b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"
NO_MEMORY = b"421 out of memory (#4.3.0)\r\n"
NO_CONTROLS = b"421 unable to read controls (#4.3.0)\r\n"
NO_SPACE = b"451 qq write error or disk full (#4.3.0)\r\n"
START = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<demo@localhost>\r\nDATA\r\n"
STARTED = GREETING + OK + OK + GO
MEGABYTE = 1 << 20


def make(way: str) -> Iterator[Host]:
    directory = tempfile.mkdtemp(prefix="host")
    try:
        with contextlib.closing(Host(Path(directory, "i"), WAYS[way])) as host:
            yield host
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def quiet(host: Host) -> int:
    """Wait until nobody is connected; where the log of the next connection begins."""
    until(lambda: host.log.count(b" from 127.") == host.log.count(b": end "), 20, lambda: repr(host.log))
    return len(host.log)


def status(host: Host, before: int) -> int:
    """Wait for the end of the connection behind the first `before` bytes of the log; its wait status."""

    def ended() -> int:
        for line in host.log[before:].splitlines():
            if b": end " in line:
                return int(line.split()[-1]) + 1
        return 0

    return until(ended, 20, lambda: repr(host.log[before:])) - 1


def deliver(host: Host, body: bytes = b"Subject: all is well\n\n") -> None:
    """The proof that a host is well: a message is taken, delivered, and taken away."""
    count = len(os.listdir(host.maildir / "new"))
    assert host.send("a@b.example", [host.address], body) == {}
    assert host.mail(count + 1)[-1].endswith(body)
    for file in (host.maildir / "new").iterdir():
        file.unlink()
