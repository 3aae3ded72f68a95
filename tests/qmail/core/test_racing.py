"""Connections to one of several addresses: who wins, and what is heard of the others."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator

import pytest

from qmail.core.racing import Attempt, Race

Heard = list[tuple[bytes, int]]


def nothing(*_: object) -> None:
    """No preparation."""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Answers on all of 127/8."""
    with socket.create_server(("0.0.0.0", 0)) as made:
        yield made


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A socket on 127.0.0.3 that lets nobody in: its queue is full."""
    with socket.create_server(("127.0.0.3", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        yield full
        for each in waiting:
            each.close()


def run(addresses: list[bytes], port: int, timeout: float = 20) -> tuple[Attempt | None, Heard]:
    heard: Heard = []
    winner = Race(timeout, nothing, lambda address, error: heard.append((address, error))).run(addresses, port)
    if winner:
        winner.socket.close()
    return winner, heard


def test_the_first_address_that_answers_is_taken(listener: socket.socket) -> None:
    winner, heard = run([b"127.0.0.2", b"127.0.0.3"], listener.getsockname()[1])
    assert winner and winner.address == b"127.0.0.2"
    assert heard == [(b"127.0.0.2", 0)]


def test_one_that_refuses_is_followed_at_once(listener: socket.socket) -> None:
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        started = time.monotonic()
        winner, heard = run([b"127.0.0.9", b"::1", b"127.0.0.2"], port)
        assert time.monotonic() - started < 5
    assert winner and winner.address == b"127.0.0.2"
    assert heard[0] == (b"127.0.0.9", errno.ECONNREFUSED)


def test_one_that_is_silent_does_not_keep_the_next_waiting(silent: socket.socket) -> None:
    port = silent.getsockname()[1]
    with socket.create_server(("127.0.0.2", port)):
        started = time.monotonic()
        winner, heard = run([b"127.0.0.3", b"127.0.0.2"], port)
        took = time.monotonic() - started
    assert winner and winner.address == b"127.0.0.2"
    assert heard == [(b"127.0.0.2", 0)]  # of the other nothing is known
    assert 0.25 <= took < 10


def test_nobody_answers(silent: socket.socket) -> None:
    port = silent.getsockname()[1]
    winner, heard = run([b"127.0.0.3", b"127.0.0.4"], port, timeout=0.3)
    assert winner is None
    assert dict(heard) == {b"127.0.0.3": errno.ETIMEDOUT, b"127.0.0.4": errno.ECONNREFUSED}
    assert run([], port) == (None, [])


def test_what_prepares_the_socket_may_stop_it_all(listener: socket.socket) -> None:
    def refuse(*_: object) -> None:
        raise ValueError

    with pytest.raises(ValueError):
        Race(1, refuse, nothing).run([b"127.0.0.1"], listener.getsockname()[1])
