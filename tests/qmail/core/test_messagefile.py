"""A message on a descriptor: all of it is read, whatever was looked at before."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from qmail.core.messagefile import MessageFile

LONG = b"x" * 79 + b"\n"


@pytest.mark.parametrize(
    ("message", "eightbit"),
    [
        (b"", False),
        (b"plain\n", False),
        (b"\xc3\xa4\n", True),
        (LONG * 5000, False),
        (LONG * 5000 + b"\xff\n", True),
        (LONG * 819 + b"x" * 16, False),
    ],
)
def test_a_file_is_known_to_its_end_and_read_from_where_it_was(tmp_path: Path, message: bytes, eightbit: bool) -> None:
    file = tmp_path / "message"
    file.write_bytes(b"before" + message)
    fd = os.open(file, os.O_RDONLY)
    os.lseek(fd, 6, os.SEEK_SET)
    found = MessageFile(fd)
    assert found.eightbit is eightbit
    assert b"".join(iter(found.read, b"")) == message
    os.close(fd)


@pytest.mark.parametrize(("message", "eightbit"), [(b"plain\n", False), (LONG * 5000, True), (b"\xff\n", True)])
def test_a_long_pipe_may_hold_anything(message: bytes, eightbit: bool) -> None:
    end, start = os.pipe()

    def feed() -> None:
        with open(start, "wb") as pipe:
            pipe.write(message)

    thread = threading.Thread(target=feed)
    thread.start()
    found = MessageFile(end)
    assert found.eightbit is eightbit
    assert b"".join(iter(found.read, b"")) == message
    thread.join()
    os.close(end)


def test_an_error_is_told_when_the_message_is_wanted(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    found = MessageFile(fd)
    with pytest.raises(IsADirectoryError):
        found.read()
    os.close(fd)
