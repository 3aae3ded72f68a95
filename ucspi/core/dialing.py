"""Make a TCP connection to a host argument, as tcpclient(1) does.

One address gets all the time there is.  Several get a short time each, in random order; those that did not answer in
it get a second, longer one."""

from __future__ import annotations

import _socket
import errno
import os
import select
import time

from ucspi.core import errtext, hostname, scan
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FIRST, SECOND = 2, 58
LONGEST = 1 << 31


def port_number(word: bytes) -> int:
    """A port argument: a number, or a service's name.  Raises TemporaryFailure."""
    if word.isdigit() or not word:
        return scan.number(word) & 0xFFFF
    try:
        return _socket.getservbyname(os.fsdecode(word), "tcp")
    except OSError as e:
        raise TemporaryFailure(f"unable to figure out port number for {os.fsdecode(word)}") from e


def addresses(host: bytes, env: Mapping[bytes, bytes]) -> list[bytes]:
    """Where a host argument may be; at least one.  Raises TemporaryFailure."""
    if host in (b"", b"0"):
        return [b"127.0.0.1"]
    if b":" in host:
        return [host]
    name = os.fsdecode(host)
    try:
        found = hostname.addresses(host, env)
    except TemporaryFailure as e:
        raise TemporaryFailure(f"temporarily unable to figure out IP address for {name}: {e}") from e
    if not found:
        raise TemporaryFailure(f"no IP address for {name}")
    return found


def dial(
    where: list[bytes],
    port: int,
    warn: Callable[[str], None],
    times: tuple[int, int] = (FIRST, SECOND),
    local: tuple[bytes, int] = (b"", 0),
) -> _socket.socket | None:
    """Connect; None if nobody answered, of which `warn` has heard.  Raises TemporaryFailure: no socket at all."""
    if len(where) == 1:
        times = (times[0] + times[1], 0)
    for turn, timeout in enumerate(times):
        if turn == 1 and not timeout:
            break
        silent: list[bytes] = []
        for ip in where:
            socket = _bound(ip, local)
            try:
                _connect(socket, ip, port, timeout)
                socket.setblocking(True)
                return socket
            except OSError as e:
                socket.close()
                if turn == 0 and times[1] and isinstance(e, TimeoutError):
                    silent.append(ip)
                else:
                    warn(f"unable to connect to {os.fsdecode(ip)} port {port}: {errtext.text(e)}")
        where = silent
    return None


def _bound(ip: bytes, local: tuple[bytes, int]) -> _socket.socket:
    family = _socket.AF_INET6 if b":" in ip else _socket.AF_INET
    try:
        socket = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
    except OSError as e:
        raise TemporaryFailure(f"unable to create socket: {errtext.text(e)}") from e
    if local != (b"", 0):
        try:
            socket.bind((os.fsdecode(local[0]), local[1]))
        except OSError as e:
            socket.close()
            raise TemporaryFailure(f"unable to bind socket: {errtext.text(e)}") from e
    return socket


def _connect(socket: _socket.socket, ip: bytes, port: int, timeout: int) -> None:
    deadline = time.monotonic() + min(timeout, LONGEST)
    try:
        socket.connect((os.fsdecode(ip), port))
        return
    except BlockingIOError:
        pass
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLOUT)
    while not poll.poll(min(max(0.0, deadline - time.monotonic()), 86400.0) * 1000 + 1):
        if time.monotonic() >= deadline:
            raise TimeoutError(errno.ETIMEDOUT, "no answer")
    error = socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))
