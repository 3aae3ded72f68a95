"""Single-user instances in a temporary directory, and what stands in their queues."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from qmail.core import instance, queuetree
from ucspi.core import chain


@pytest.fixture
def home() -> Iterator[instance.Instance]:
    """An instance with an empty queue; its path is short, for Unix sockets hold 107 bytes."""
    # A queue program that a test has abandoned may still be at work in it.
    with tempfile.TemporaryDirectory(prefix="qmail", ignore_cleanup_errors=True) as directory:
        made = instance.Instance(os.fsencode(directory))
        queuetree.create(made)
        yield made


def files(home: instance.Instance) -> dict[str, bytes]:
    """Kind (mess, intd, todo ...) and content of every message file; no numbers."""
    queue = Path(os.fsdecode(home.queue))
    found = (path for path in queue.rglob("*") if path.is_file() and path.parts[len(queue.parts)] != "lock")
    return {path.parts[len(queue.parts)]: path.read_bytes() for path in found}


def run(
    main: Callable[..., int],
    argv: Sequence[bytes],
    env: Mapping[bytes, bytes],
    *,
    message: bytes | None = b"",
    envelope: bytes | None = b"",
    setup: Callable[[], None] | None = None,
) -> int:
    """Run a queue program in a process of its own with message and envelope on 0 and 1 (None: closed); wait status."""
    pid = start(main, argv, env, _file(message), _file(envelope), setup)
    return os.waitpid(pid, 0)[1]


def start(
    main: Callable[..., int],
    argv: Sequence[bytes],
    env: Mapping[bytes, bytes],
    fd0: int,
    fd1: int,
    setup: Callable[[], None] | None = None,
) -> int:
    """Start a program with the given descriptors (-1: closed), which are closed here; return its pid."""
    pid = os.fork()
    if pid == 0:
        code = 126
        try:
            high = [os.dup(fd) if fd >= 0 else -1 for fd in (fd0, fd1)]
            for number, fd in enumerate(high):
                os.close(number) if fd < 0 else os.dup2(fd, number)
            os.closerange(3, 65536)
            if setup is not None:
                setup()
            code = chain.Process().run(main, argv, env)
        finally:
            os._exit(code)
    for fd in (fd0, fd1):
        if fd >= 0:
            os.close(fd)
    return pid


def _file(content: bytes | None) -> int:
    if content is None:
        return -1
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        return os.dup(file.fileno())
