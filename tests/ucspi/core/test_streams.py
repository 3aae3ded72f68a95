"""Reading and writing on real descriptors: whole blocks, time limits, and what others have done to a descriptor."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ucspi.core import streams

BIG = os.urandom(1 << 20)  # more than a pipe or a socket holds


@pytest.fixture(params=["pipe", "socket"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """A read end and a write end."""
    one, other = socket.socketpair()
    ends = os.pipe() if request.param == "pipe" else (one.detach(), other.detach())
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            pass


def drain(fd: int) -> tuple[threading.Thread, list[bytes]]:
    parts: list[bytes] = []
    thread = threading.Thread(target=lambda: parts.extend(streams.blocks(fd)))
    thread.start()
    return thread, parts


@pytest.mark.parametrize("blocking", [True, False])
def test_everything_is_written_and_read(pair: tuple[int, int], blocking: bool) -> None:
    reader, writer = pair
    for fd in pair:
        os.set_blocking(fd, blocking)
    thread, parts = drain(reader)
    streams.write_all(writer, BIG)
    streams.write_within(writer, BIG, 10)
    os.close(writer)
    thread.join(10)
    assert b"".join(parts) == BIG * 2


@pytest.mark.parametrize(
    ("limit", "found"), [(None, b"0123456789"), (0, b""), (4, b"0123"), (10, b"0123456789"), (11, b"0123456789")]
)
def test_no_more_is_read_than_the_limit(pair: tuple[int, int], limit: int | None, found: bytes) -> None:
    reader, writer = pair
    os.write(writer, b"01234")
    os.write(writer, b"56789")
    os.close(writer)
    assert streams.read_all(reader, limit) == found
    assert streams.read_all(reader) == b"0123456789"[len(found) :]


@pytest.mark.parametrize("blocking", [True, False])
def test_silence_is_a_timeout_and_neither_data_nor_the_end_is(pair: tuple[int, int], blocking: bool) -> None:
    reader, writer = pair
    os.set_blocking(reader, blocking)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        streams.read_within(reader, 10, 0.05)
    with pytest.raises(TimeoutError):
        streams.wait_readable(reader, 0)
    assert 0.04 < time.monotonic() - started < 5
    os.write(writer, b"data")
    assert streams.read_within(reader, 3, 0) == b"dat"
    assert streams.read_within(reader, 3, 10) == b"a"
    os.close(writer)
    streams.wait_readable(reader, 10)
    assert streams.read_within(reader, 3, 10) == b""


@pytest.mark.parametrize("blocking", [True, False])
def test_who_takes_nothing_is_a_timeout_also_on_a_blocking_descriptor(pair: tuple[int, int], blocking: bool) -> None:
    _, writer = pair
    os.set_blocking(writer, blocking)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        streams.write_within(writer, BIG * 8, 0.05)
    assert 0.04 < time.monotonic() - started < 5


def test_who_takes_a_little_now_and_then_is_no_timeout(pair: tuple[int, int]) -> None:
    reader, writer = pair
    parts = []

    def read() -> None:
        while data := streams.read_within(reader, 100_000, 10):
            parts.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    streams.write_within(writer, BIG * 3, 1)
    os.close(writer)
    thread.join(10)
    assert b"".join(parts) == BIG * 3


def test_who_is_gone_is_an_error(pair: tuple[int, int]) -> None:
    reader, writer = pair
    os.close(reader)
    for write in (streams.write_all, lambda fd, data: streams.write_within(fd, data, 10)):
        with pytest.raises(BrokenPipeError):
            write(writer, b"x")


def test_files_do_for_everything(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with open(file, "wb") as opened:
        streams.write_within(opened.fileno(), BIG, 0.1)
        streams.write_all(opened.fileno(), b"end")
    with open(file, "rb") as opened:
        assert streams.read_within(opened.fileno(), 10, 0.1) == BIG[:10]
        assert b"".join(streams.blocks(opened.fileno(), 1000)) == BIG[10:] + b"end"


def test_a_complaint_that_nobody_can_hear_is_no_error() -> None:
    saved = os.dup(2)
    try:
        os.close(2)
        streams.complain(b"anybody?\n")
        reader, writer = os.pipe()
        os.dup2(writer, 2)
        os.close(reader)
        streams.complain(b"anybody?\n")
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(writer)


def test_a_pipe_is_widened_and_anything_else_is_as_it_was() -> None:
    take, give = os.pipe()
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        streams.widen(give, 1 << 18)
        assert fcntl.fcntl(take, fcntl.F_GETPIPE_SZ) == 1 << 18
        streams.widen(null)
    finally:
        for fd in (take, give, null):
            os.close(fd)
    streams.widen(give)  # closed
