"""maildirmake: four directories."""

from __future__ import annotations

import os

import pytest

from qmail.user.maildirmake import main

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def run(*words: bytes, umask: int = 0o022) -> int:
    from ucspi.core import chain

    before = os.umask(umask)
    try:
        return main([b"maildirmake", *words], {}, chain.Process())
    finally:
        os.umask(before)


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_a_maildir_is_four_directories_for_the_owner_alone(tmp_path: Path, umask: int) -> None:
    name = tmp_path / "M"
    assert run(os.fsencode(name), umask=umask) == 0
    assert sorted(os.listdir(name)) == ["cur", "new", "tmp"]
    assert {os.stat(name / part).st_mode & 0o7777 for part in (".", "cur", "new", "tmp")} == {0o700}


def test_without_a_name_it_tells_the_usage(capfd: pytest.CaptureFixture[str]) -> None:
    assert run() == 100
    assert capfd.readouterr().err == "maildirmake: usage: maildirmake name\n"


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(os.fsencode(tmp_path)) == 111
    assert capfd.readouterr().err == f"maildirmake: fatal: unable to mkdir {tmp_path}: file already exists\n"
    assert run(os.fsencode(tmp_path / "no" / "M")) == 111
    assert capfd.readouterr().err == f"maildirmake: fatal: unable to mkdir {tmp_path}/no/M: file does not exist\n"
