"""Ask the client's host whose connection it is: RFC 1413, read as tcpserver(1) reads it.

    question   REMOTEPORT " , " LOCALPORT CR LF
    answer     up to the first LF; without spaces, tabs and CRs; what follows the third colon, at most 257 bytes

An answer with fewer colons (`... : ERROR : NO-USER`) says "empty"; no answer in time says nothing."""

from __future__ import annotations

import _socket
import select
import time

PORT = 113
LONGEST = 257
# Bytes taken while waiting for the LF.  The original reads on for as long as the time lasts; nobody means that.
LONGEST_ANSWER = 65536


def question(remote_port: int, local_port: int) -> bytes:
    """What is asked."""
    return b"%d , %d\r\n" % (remote_port, local_port)


def user(answer: bytes, longest: int = LONGEST) -> bytes:
    """What the line of an answer says (with or without its LF), up to a NUL: no variable can hold one."""
    said = b"".join(answer.partition(b"\n")[0].translate(None, b" \t\r").split(b":", 3)[3:])
    return said[:longest].partition(b"\0")[0]


def ask(
    local_ip: bytes,
    local_port: int,
    remote_ip: bytes,
    remote_port: int,
    timeout: float,
    port: int = PORT,
    *,
    longest: int = LONGEST,
) -> bytes | None:
    """Ask, for `timeout` seconds at most in all; the answer, cut to `longest` bytes.  None: no answer."""
    deadline = time.monotonic() + timeout
    family = _socket.AF_INET6 if b":" in remote_ip else _socket.AF_INET
    try:
        socket = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
    except OSError:
        return None
    try:
        socket.bind((local_ip.decode("ascii"), 0))
        answer = _converse(socket, (remote_ip.decode("ascii"), port), question(remote_port, local_port), deadline)
        return None if answer is None else user(answer, longest)
    except (OSError, ValueError):
        return None
    finally:
        socket.close()


def _converse(socket: _socket.socket, server: tuple[str, int], asked: bytes, deadline: float) -> bytes | None:
    try:
        socket.connect(server)
    except BlockingIOError:
        pass
    _wait(socket, select.POLLOUT, deadline)
    error = socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
    if error:
        return None
    while asked:
        asked = asked[_send(socket, asked) :]
        if asked:
            _wait(socket, select.POLLOUT, deadline)
    parts: list[bytes] = []
    size = 0
    while size < LONGEST_ANSWER:
        _wait(socket, select.POLLIN, deadline)
        try:
            data = socket.recv(4096)
        except BlockingIOError:
            continue
        if not data:
            return None
        parts.append(data)
        size += len(data)
        if b"\n" in data:
            return b"".join(parts)
    return None


def _send(socket: _socket.socket, data: bytes) -> int:
    try:
        return socket.send(data)
    except BlockingIOError:
        return 0


def _wait(socket: _socket.socket, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(socket.fileno(), event)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        # Not longer at once than poll can be told; rounded up, so that the last millisecond does not spin.
        if poll.poll(min(left, 86400.0) * 1000 + 1):
            return
