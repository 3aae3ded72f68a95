"""The queue's directories as they are made."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import pytest

from qmail.core import queuetree
from qmail.core.instance import Instance


def flags(path: Path) -> int:
    """The attributes that lsattr(1) shows; skips the test where the file system has none."""
    fd = os.open(path, os.O_RDONLY)
    try:
        (value,) = struct.unpack("l", fcntl.ioctl(fd, queuetree.GET_FLAGS, bytes(8)))
        return int(value)
    except OSError:
        pytest.skip("no file attributes here")
    finally:
        os.close(fd)


def test_directories_with_much_below_them_are_spread_over_the_disk(tmp_path: Path) -> None:
    queuetree.create(Instance(os.fsencode(tmp_path)))
    queue = tmp_path / "queue"
    if not flags(queue) & queuetree.TOP_DIRECTORY:
        pytest.skip("no ext4")
    for name in ("mess", "info", "local", "remote"):
        assert flags(queue / name) & queuetree.TOP_DIRECTORY, name
    assert not flags(queue / "todo") & queuetree.TOP_DIRECTORY


def test_a_directory_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "queue" / "mess").mkdir(parents=True)
    (tmp_path / "queue" / "mess").chmod(0o711)
    queuetree.create(Instance(os.fsencode(tmp_path)))
    assert (tmp_path / "queue/mess").stat().st_mode & 0o777 == 0o711
    assert (tmp_path / "queue/mess/22").is_dir()
