"""qmail-setup: usage, and what it is made of.  tests/system/test_installation.py runs it as root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qmail.install import installation, interpreter, manifest
from qmail.install.software import Source
from tests.support import launchers
from tests.support.launchers import ROOT
from tests.support.programs import programs
from ucspi.core.failure import PermanentFailure, TemporaryFailure


@pytest.mark.parametrize(
    "words", [(), ("instal",), ("check", "it"), ("-H", "var/qmail", "check"), ("-H", "/", "check"), ("-x", "check")]
)
def test_bad_usage(words: tuple[str, ...]) -> None:
    done = launchers.run(launchers.ours("qmail-setup"), *words)
    assert done.code == 100 and b"qmail-setup: usage: qmail-setup " in done.err


def test_the_list_of_programs_is_setup_cfgs() -> None:
    assert Source(str(ROOT)).programs() == programs()


def test_a_directory_without_the_source_is_none(tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure, match=r"is not the source: it has no setup\.cfg"):
        Source(str(tmp_path))


def test_the_fingerprint_changes_with_a_file_and_with_the_places(tmp_path: Path) -> None:
    os.symlink(ROOT / "ucspi", tmp_path / "ucspi")
    (tmp_path / "qmail").mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / name).write_text("x")
    source = Source(str(tmp_path))
    first = source.fingerprint("/var/qmail")
    assert source.fingerprint("/var/qmail") == first
    assert source.fingerprint("/srv/qmail") != first
    (tmp_path / "qmail/new.py").write_text("")
    assert source.fingerprint("/var/qmail") != first


@pytest.mark.parametrize(
    "entry",
    [
        manifest.Entry("f", 0o755, "qmail", "0" * 64, "/var/qmail/bin/qmail-queue"),
        manifest.Entry("f", 0o644, "root", "0" * 64, "/a name/with  blanks"),
        manifest.Entry("l", 0, "root", "to a\nstrange place", "/bin/python"),
        manifest.Entry("d", 0o755, "root", "", "/usr/local/lib"),
    ],
)
def test_a_manifests_line_is_read_as_it_was_written(entry: manifest.Entry) -> None:
    again = manifest.Entry.unpack(entry.pack())
    assert again.pack() == entry.pack()
    assert (again.kind, again.mode, again.group, again.what, again.path) == (
        *(entry.kind, entry.mode, entry.group, entry.what, entry.path),
    )


def test_an_obstacle_for_other_users_is_found_at_any_height(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)
    closed = tmp_path / "closed"
    (closed / "in").mkdir(parents=True)
    (closed / "in/file").write_text("")
    top = interpreter.closed(str(closed / "in/file"))  # pytest's own directory may be closed, too
    closed.chmod(0o750)
    assert interpreter.closed(str(closed / "in/file")) == f"{closed} is closed to them (mode 0750)"
    closed.chmod(0o755)
    (closed / "in/file").chmod(0o600)
    assert interpreter.closed(str(closed / "in/file")) == f"{closed}/in/file is closed to them (mode 0600)"
    (closed / "in/file").chmod(0o644)
    assert interpreter.closed(str(closed / "in/file")) == top


def test_two_at_once_do_not_change_one_machine(tmp_path: Path) -> None:
    with (
        installation.alone(f"{tmp_path}/not/there/yet"),
        pytest.raises(TemporaryFailure, match="another qmail-setup is at work"),
        installation.alone(str(tmp_path)),
    ):
        raise AssertionError
    with installation.alone(str(tmp_path)):
        pass
