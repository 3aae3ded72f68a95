"""Launchers: one starts its program wherever the interpreter is, and is known for what it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support import launchers as support
from ucspi.core import chain, launchers
from ucspi.core.failure import PermanentFailure

PLACES = ["plain", "my own\tplace", "long/" + "x" * 200 + "/" + "y" * 100, "é"]


@pytest.mark.parametrize("place", PLACES)
def test_a_launcher_starts_its_program_with_its_words(tmp_path: Path, place: str) -> None:
    python = tmp_path / place / "python3"
    python.parent.mkdir(parents=True)
    python.symlink_to(os.path.realpath(sys.executable))
    file = tmp_path / place / "argv0"
    file.write_text(launchers.text("ucspi.argv0", str(python)))
    file.chmod(0o755)
    done = support.run(str(file), "sh", "me", "-c", 'printf "%s|" "$0" "$@"', "a  'b' $c", "", "x\ny")
    assert (done.code, done.out, done.err) == (0, b"a  'b' $c||x\ny|", b"")


@pytest.mark.parametrize("place", PLACES)
def test_a_chain_knows_a_launcher_of_its_own_interpreter(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = str(tmp_path / place / "python3")
    file = tmp_path / "argv0"
    file.write_text(launchers.text("ucspi.argv0", python))
    assert chain.module_of(bytes(file)) is None
    monkeypatch.setattr(sys, "executable", python)
    other = tmp_path / "again"
    other.write_text(launchers.text("ucspi.argv0", python))
    assert chain.module_of(bytes(other)) == "ucspi.argv0"


@pytest.mark.parametrize("letter", ['"', "$", "`", "\\", "\n"])
def test_a_place_that_no_script_can_name_is_refused(letter: str) -> None:
    with pytest.raises(PermanentFailure, match="no script can name this interpreter"):
        launchers.text("ucspi.argv0", f"/a b/{letter}/python3")
