"""A file is replaced as a whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ucspi.core.failure import PermanentFailure, TemporaryFailure
from ucspi.core.replacement import replace


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    name, temporary = tmp_path / "name", tmp_path / "tmp"
    name.write_text("old")

    def fill(fd: int) -> None:
        os.write(fd, b"new")
        assert name.read_text() == "old"

    replace(os.fsencode(name), os.fsencode(temporary), fill)
    assert name.read_text() == "new" and not temporary.exists()


def test_what_goes_wrong_is_told_and_changes_nothing(tmp_path: Path) -> None:
    name = tmp_path / "name"
    name.write_text("old")
    file, temporary = os.fsencode(name), os.fsencode(tmp_path / "tmp")

    def refuse(_: int) -> None:
        raise PermanentFailure("no")

    def fail(_: int) -> None:
        os.write(-1, b"x")

    with pytest.raises(PermanentFailure, match=r"^no$"):
        replace(file, temporary, refuse)
    with pytest.raises(TemporaryFailure, match=r"^unable to create .*/none/tmp: file does not exist$"):
        replace(file, os.fsencode(tmp_path / "none/tmp"), refuse)
    with pytest.raises(TemporaryFailure, match=r"^unable to write to .*/tmp: file descriptor not open$"):
        replace(file, temporary, fail)
    assert name.read_text() == "old"
    name.unlink()
    name.mkdir()
    with pytest.raises(TemporaryFailure, match=r"^unable to move .*/tmp to .*/name: is a directory$"):
        replace(file, temporary, lambda fd: None)
