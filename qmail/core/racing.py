"""Connections to one of several addresses that are equally good: the first that answers.  RFC 8305 5.

The addresses are tried in their order, the next one when the one before it has failed, or has not answered for DELAY
seconds.  Each has the whole time-out to itself.  The first connection is the one; the others are dropped."""

from __future__ import annotations

import _socket
import errno
import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DELAY = 0.25  # the RFC's "Connection Attempt Delay"
LONGEST = 86400.0 * 365


class NoSocket(Exception):
    """No socket can be made here, which is nobody's fault but ours; str() says why."""


class Attempt:
    """One address that is being tried."""

    __slots__ = ("address", "deadline", "socket")

    def __init__(self, address: bytes, socket: _socket.socket, deadline: float) -> None:
        self.address, self.socket, self.deadline = address, socket, deadline


class Race:
    """`prepare` gets each socket before it connects, to bind it.

    `result` hears how each attempt has ended: an errno, or 0.  Of those that were merely too late it hears nothing."""

    def __init__(
        self,
        timeout: float,
        prepare: Callable[[_socket.socket, bytes], None],
        result: Callable[[bytes, int], None],
    ) -> None:
        self.timeout = min(timeout, LONGEST)
        self.prepare, self.result = prepare, result
        self._running: list[Attempt] = []

    def run(self, addresses: Sequence[bytes], port: int) -> Attempt | None:
        """Connect; None if none of them answers.  Raises NoSocket."""
        waiting = list(addresses)
        try:
            while waiting or self._running:
                winner = self._start(waiting.pop(0), port) if waiting else None
                if winner is None and self._running:
                    winner = self._wait(time.monotonic() + DELAY if waiting else None)
                if winner is not None:
                    return winner
            return None
        finally:
            for attempt in self._running:
                attempt.socket.close()
            self._running.clear()

    def _start(self, address: bytes, port: int) -> Attempt | None:
        """Begin to connect; the attempt if that is already done."""
        family = _socket.AF_INET6 if b":" in address else _socket.AF_INET
        try:
            socket = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
        except OSError as e:
            if e.errno == errno.EAFNOSUPPORT:
                return None  # this machine does not speak that protocol at all
            raise NoSocket(os.strerror(e.errno or errno.EIO)) from e
        # The final dot must not wait until the body before it is acknowledged.
        socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        attempt = Attempt(address, socket, time.monotonic() + self.timeout)
        self._running.append(attempt)
        self.prepare(socket, address)
        error = socket.connect_ex((address.decode(), port))
        return None if error == errno.EINPROGRESS else self._ended(attempt, error)

    def _wait(self, until: float | None) -> Attempt | None:
        """Wait until an attempt ends, or the time has come for the next one; the attempt that won."""
        poll = select.poll()
        by_fd = {attempt.socket.fileno(): attempt for attempt in self._running}
        for fd in by_fd:
            poll.register(fd, select.POLLOUT)
        soonest = min(attempt.deadline for attempt in self._running)
        deadline = soonest if until is None else min(soonest, until)
        events = poll.poll(min(max(0.0, deadline - time.monotonic()), 86400.0) * 1000)
        winner: Attempt | None = None
        for fd, _ in events:
            attempt = by_fd[fd]
            error = attempt.socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
            if not error and winner is not None:
                continue  # answered as well, a moment too late
            winner = self._ended(attempt, error) or winner
        if winner is None:
            now = time.monotonic()
            for attempt in [each for each in self._running if each.deadline <= now]:
                self._ended(attempt, errno.ETIMEDOUT)
        return winner

    def _ended(self, attempt: Attempt, error: int) -> Attempt | None:
        self.result(attempt.address, error)
        self._running.remove(attempt)
        if not error:
            return attempt
        attempt.socket.close()
        return None
