"""qmail-smtpd as a process, with a queue program that stores what it gets."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support import launchers
from tests.support.storing import StoringHost

GREETING, BYE = b"220 mail.example.org ESMTP\r\n", b"221 mail.example.org\r\n"
START = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<x@mail.example.org>\r\nDATA\r\n"
OK, GO = b"250 ok\r\n", b"354 go ahead\r\n"
NO_CONTROLS = b"421 unable to read controls (#4.3.0)\r\n"
REFUSED = re.compile(rb"qmail-smtpd: (192\.0\.2\.7|unknown) pid \d+:( from <[!-~]*>)?( to <[!-~]*>)? [45]\d\d [ -~]+")
NO_GATEWAY = b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\r\n"


class Host(StoringHost):
    """A StoringHost with qmail-smtpd."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, "qmail-smtpd")

    def replies(self, data: bytes, **env: str) -> bytes:
        """What comes between greeting and 221 when `data` is said; it must end with exit 0, with a refusal in each line
        of stderr."""
        done = self.talk(data + b"QUIT\r\n", **env)
        assert done.code == 0
        assert all(REFUSED.fullmatch(line) for line in done.err.splitlines()), done.err
        assert done.out.startswith(GREETING) and done.out.endswith(BYE)
        return done.out[len(GREETING) : -len(BYE)]

    def taken(self, data: bytes, **env: str) -> tuple[bytes, bytes]:
        """Message and envelope that the queue program got."""
        self.replies(data, **env)
        return self.stored()

    def start(self, stdin: int, stdout: int) -> subprocess.Popen[bytes]:
        env = {"PATH": os.environ["PATH"], **self.env}
        return subprocess.Popen([launchers.ours("qmail-smtpd")], stdin=stdin, stdout=stdout, env=env)


def receive(sock: socket.socket, enough: Callable[[bytes], bool]) -> bytes:
    data = b""
    while not enough(data) and (block := sock.recv(65536)):
        data += block
    return data
