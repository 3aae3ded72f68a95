"""Delivery into a maildir."""

from __future__ import annotations

import os
import stat

import pytest

from qmail.core import maildir
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER = b"Return-Path: <s@s>\nDelivered-To: r@h\n"
TEMPORARY = r"^Temporary error on maildir delivery\. \(#4\.3\.0\)$"


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for part in ("tmp", "new", "cur"):
        (tmp_path / "M" / part).mkdir(parents=True)
    return tmp_path / "M"


@pytest.fixture
def message(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "message").write_bytes(b"Subject: x\n\nbody\n")
    fd = os.open(tmp_path / "message", os.O_RDONLY)
    yield fd
    os.close(fd)


def deliver(box: Path, message: int, **how: object) -> None:
    maildir.deliver(os.fsencode(box) + b"/", HEADER, message, **how)  # type: ignore[arg-type]


def name(second: int, serial: int = 0) -> str:
    return f"{second}.M000000P{os.getpid()}Q{serial}.{os.uname().nodename}"


def test_a_message_is_in_new_under_its_unique_name_and_nothing_stays_in_tmp(box: Path, message: int) -> None:
    deliver(box, message, clock=lambda: 1795422000.9000001)
    file = f"1795422000.M900000P{os.getpid()}Q0.{os.uname().nodename}"
    assert os.listdir(box / "new") == [file]
    assert os.listdir(box / "tmp") == []
    assert (box / "new" / file).read_bytes() == HEADER + b"Subject: x\n\nbody\n"
    assert stat.S_IMODE((box / "new" / file).stat().st_mode) == 0o600


def test_two_deliveries_of_one_run_at_one_time_have_two_names(box: Path, message: int) -> None:
    for serial in range(3):
        os.lseek(message, 0, os.SEEK_SET)
        deliver(box, message, clock=lambda: 5, serial=serial)
    assert sorted(os.listdir(box / "new")) == [name(5, serial) for serial in range(3)]


@pytest.mark.parametrize("size", [0, 1, maildir.BLOCK, maildir.BLOCK * 2 + 5])
def test_a_message_of_any_size_arrives_whole(box: Path, tmp_path: Path, size: int) -> None:
    (tmp_path / "big").write_bytes(b"x" * size)
    with open(tmp_path / "big", "rb") as big:
        deliver(box, big.fileno())
    (file,) = os.listdir(box / "new")
    assert (box / "new" / file).read_bytes() == HEADER + b"x" * size


@pytest.mark.parametrize("missing", ["tmp", "new"])
def test_a_maildir_without_tmp_or_new_is_a_temporary_error(box: Path, message: int, missing: str) -> None:
    (box / missing).rmdir()
    with pytest.raises(TemporaryFailure, match=TEMPORARY):
        deliver(box, message)
    assert [os.listdir(box / part) for part in ("tmp", "new") if part != missing] == [[]]


def test_cur_is_not_needed(box: Path, message: int) -> None:
    (box / "cur").rmdir()
    deliver(box, message)
    assert len(os.listdir(box / "new")) == 1


def test_no_maildir_has_a_text_of_its_own(box: Path, message: int, tmp_path: Path) -> None:
    for nothing in (tmp_path / "nothing", tmp_path / "message"):
        with pytest.raises(TemporaryFailure, match=r"^Unable to chdir to maildir\. \(#4\.2\.1\)$"):
            deliver(nothing, message)


def test_a_name_in_use_is_tried_three_times(box: Path, message: int) -> None:
    times, pauses = iter((1, 5, 5, 5)), []
    (box / "tmp" / name(5)).touch()
    with pytest.raises(TemporaryFailure, match=TEMPORARY):
        deliver(box, message, clock=lambda: next(times), pause=pauses.append)
    assert pauses == [2, 2]
    times = iter((1, 5, 7, 8))
    deliver(box, message, clock=lambda: next(times), pause=pauses.append)
    assert os.listdir(box / "new") == [name(7)]


def test_a_name_taken_in_new_is_never_overwritten(box: Path, message: int) -> None:
    taken = box / "new" / name(5)
    taken.write_bytes(b"another")
    with pytest.raises(TemporaryFailure, match=TEMPORARY):
        deliver(box, message, clock=lambda: 5)
    assert (taken.read_bytes(), os.listdir(box / "tmp")) == (b"another", [])


def test_a_message_that_cannot_be_read_leaves_nothing(box: Path) -> None:
    directory = os.open(box, os.O_RDONLY)
    with pytest.raises(TemporaryFailure, match=r"^Unable to read message\. \(#4\.3\.0\)$"):
        deliver(box, directory)
    os.close(directory)
    assert [os.listdir(box / part) for part in ("tmp", "new")] == [[], []]


def test_a_delivery_that_takes_a_day_is_given_up(box: Path, message: int) -> None:
    times = iter((1, 2, 86402))
    with pytest.raises(TemporaryFailure, match=r"^Timeout on maildir delivery\. \(#4\.3\.0\)$"):
        deliver(box, message, clock=lambda: next(times))
    assert [os.listdir(box / part) for part in ("tmp", "new")] == [[], []]


def test_a_full_disk_leaves_nothing(box: Path, message: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(maildir.os, "fsync", full)
    with pytest.raises(TemporaryFailure, match=TEMPORARY):
        deliver(box, message)
    assert [os.listdir(box / part) for part in ("tmp", "new")] == [[], []]
