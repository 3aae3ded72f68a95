"""Delivery into an mbox file."""

from __future__ import annotations

import fcntl
import os
import re
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmail.core import mbox
from qmail.core.mbox import Quoter
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

HEADER = b"From s@s Fri Jan 02 03:04:05 2026\nReturn-Path: <s@s>\nDelivered-To: r@h\n"
# Probe 47, and what lies around it.
QUOTED = [
    (b"", b"\n"),
    (b"From me\n", b">From me\n\n"),
    (b">From you\n>>From him", b">>From you\n>>>From him\n\n"),
    (b"a From b\n>a>From\nFromage\nFrom\tx\nfrom x\n", b"a From b\n>a>From\nFromage\nFrom\tx\nfrom x\n\n"),
    (b"From From From \nFrom ", b">From From From \n>From \n\n"),
    (b"x>From \n> From \n", b"x>From \n> From \n\n"),
    (b"\n\nFrom a\r\nFro", b"\n\n>From a\r\nFro\n\n"),
    (b">" * 1000 + b"From x", b">" * 1001 + b"From x\n\n"),
]


@pytest.mark.parametrize(("message", "quoted"), QUOTED)
def test_from_lines_are_quoted_whole_and_byte_by_byte(message: bytes, quoted: bytes) -> None:
    whole, slow = Quoter(), Quoter()
    assert whole.feed(message) + whole.close() == quoted
    assert b"".join(slow.feed(message[i : i + 1]) for i in range(len(message))) + slow.close() == quoted


@given(st.lists(st.sampled_from([b"From ", b"From", b"F", b">", b"\n", b"x", b" "]), max_size=30), st.data())
def test_quoting_is_the_regular_expressions(parts: list[bytes], data: st.DataObject) -> None:
    message = b"".join(parts)
    cut = data.draw(st.integers(0, len(message)))
    quoter = Quoter()
    out = quoter.feed(message[:cut]) + quoter.feed(message[cut:]) + quoter.close()
    newline = b"" if message.endswith(b"\n") or not message else b"\n"
    assert out == re.sub(rb"(?m)^(>*From )", rb">\1", message) + newline + b"\n"


def deliver(box: Path, message: bytes, patience: float = 5) -> None:
    source = box.parent / "message"
    source.write_bytes(message)
    with open(source, "rb") as file:
        mbox.deliver(os.fsencode(box), HEADER, file.fileno(), patience)


def test_messages_follow_each_other_with_an_empty_line_between(tmp_path: Path) -> None:
    box = tmp_path / "mb"
    deliver(box, b"Subject: x\n\nFrom me\nend")
    deliver(box, b"second\n")
    assert box.read_bytes() == HEADER + b"Subject: x\n\n>From me\nend\n\n" + HEADER + b"second\n\n"
    assert stat.S_IMODE(box.stat().st_mode) == 0o600


def test_a_large_message_is_quoted_across_blocks(tmp_path: Path) -> None:
    line = b"x" * (mbox.BLOCK - 3) + b"\n"
    deliver(tmp_path / "mb", line + b"From a\n" + line + line)
    assert (tmp_path / "mb").read_bytes() == HEADER + line + b">From a\n" + line + line + b"\n"


def test_a_file_that_stays_locked_is_not_touched(tmp_path: Path) -> None:
    box = tmp_path / "mb"
    box.write_bytes(b"old\n")
    with open(box) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TemporaryFailure, match=r"^File has been locked for 30 seconds straight\. \(#4\.3\.0\)$"):
            deliver(box, b"new\n", patience=0.02)
    assert box.read_bytes() == b"old\n"


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    text = r"^Unable to open .*/no/mb: file does not exist\. \(#4\.2\.1\)$"
    with open(os.devnull, "rb") as file, pytest.raises(TemporaryFailure, match=text):
        mbox.deliver(os.fsencode(tmp_path / "no" / "mb"), HEADER, file.fileno())


def test_what_could_not_be_written_is_cut_off_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(mbox.os, "fsync", full)
    (tmp_path / "mb").write_bytes(b"old\n")
    with pytest.raises(TemporaryFailure, match=r"^Unable to write .*/mb: out of disk space\. \(#4\.3\.0\)$"):
        deliver(tmp_path / "mb", b"new\n")
    assert (tmp_path / "mb").read_bytes() == b"old\n"


def test_a_message_that_cannot_be_read_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(TemporaryFailure, match=r"^Unable to read message: is a directory\. \(#4\.3\.0\)$"):
        mbox.deliver(os.fsencode(tmp_path / "mb"), HEADER, directory)
    os.close(directory)
    assert (tmp_path / "mb").read_bytes() == b""
