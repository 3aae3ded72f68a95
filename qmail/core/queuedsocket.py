"""How callers that may not write the queue reach qmail-queued: run/queued below the instance's home.

    caller   connects, sends one byte with two descriptors (SCM_RIGHTS): message and envelope, as qmail-queue's 0 and 1
    answer   one byte: the exit code of qmail-queue.  A connection that closes without one: nobody knows.

The kernel tells qmail-queued who the caller is (SO_PEERCRED); nothing the caller says about itself is asked for."""

from __future__ import annotations

import errno
import sys
import time
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET, socket

from qmail.core.instance import Instance

UNREACHABLE = 56  # no qmail-queued: "trouble making network connection"
LOST = 74  # it went away in the middle: "communication with mail server failed"
PATIENCE = 2.0  # seconds to wait for somebody to listen
BUSY = 71  # it has no place left for this user: "mail server temporarily rejected message"


def path(instance: Instance) -> bytes:
    """The socket's path: in a directory of its own, for lock/ is closed to most users."""
    return instance.path(b"run", b"queued")


def submit(address: bytes, message: int, envelope: int) -> socket:
    """Hand over two descriptors; return the connection on which the answer comes.  Raises OSError."""
    connection = _connect(address)
    try:
        descriptors = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (message, envelope))
        connection.sendmsg([b"q"], [(SOL_SOCKET, SCM_RIGHTS, descriptors)])
    except OSError:
        connection.close()
        raise
    return connection


def _connect(address: bytes) -> socket:
    """At boot, or while qmail-queued is being restarted, it is a moment until somebody listens.  Raises OSError."""
    deadline = time.monotonic() + PATIENCE
    while True:
        connection = socket(AF_UNIX, SOCK_STREAM)
        try:
            connection.connect(address)
            return connection
        except OSError as e:
            connection.close()
            if e.errno not in (errno.ENOENT, errno.ECONNREFUSED) or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def answer(connection: socket) -> int:
    """Wait for the exit code, and close."""
    try:
        code = connection.recv(1)
    except OSError:
        code = b""
    connection.close()
    return code[0] if code else LOST
