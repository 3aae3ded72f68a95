"""envdir: what a file says, and directories that cannot be read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests.support.launchers import original, ours, run
from ucspi import envdir

FILES = {
    "A": b"val one  \t\nsecond", "B": b"", "C": b"\n", "D": b"x\0y\n", "E": b"  lead", "G": b"a\r\n", "X=Y": b"val",
    "P=q": b"",
    ".hidden": b"x", "with space": b"1", "PATH": b"/nonexistent", "LONG": b"x" * 100_000, "T": b" \t\n", "N": b"\0\0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"", None), (b"\n", b""), (b"a", b"a"), (b"a \t \nb", b"a"), (b"a\r\n", b"a\r"), (b" a", b" a"),
        (b"a\0b\n", b"a\nb"),
        (b" \t", b""), (b"a\0 \n", b"a\n"),
    ],
)  # fmt: skip
def test_a_file_says_this(content: bytes, value: bytes | None) -> None:
    assert envdir.value(content) == value


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "e"
    made.mkdir()
    for name, content in FILES.items():
        (made / name).write_bytes(content)
    return made


def test_the_environment_is_the_originals(directory: Path) -> None:
    env = {"B": "inherited", "X": "inherited", "P": "inherited", "KEPT": "1"}
    mine, theirs = (
        run(file, "e", "env", "-0", env=env, cwd=directory.parent) for file in (ours("envdir"), original("envdir"))
    )
    assert sorted(mine.out.split(b"\0")) == sorted(theirs.out.split(b"\0"))
    assert (mine.code, mine.err) == (theirs.code, theirs.err) == (0, b"")


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["e"],
        ["none", "env"],
        ["e/A", "env"],
        ["e", "nonexistent-program"],
        ["e", "sh", "-c", "exit 9"],
        ["", "env"],
    ],
)
def test_failures_are_the_originals(args: list[str], directory: Path) -> None:
    assert run(ours("envdir"), *args, cwd=directory.parent) == run(original("envdir"), *args, cwd=directory.parent)


def test_a_directory_inside_is_told(directory: Path) -> None:
    (directory / "sub").mkdir()
    done = run(ours("envdir"), "e", "env", cwd=directory.parent)
    assert done == run(original("envdir"), "e", "env", cwd=directory.parent)
    assert (done.code, done.err) == (111, b"envdir: fatal: unable to read e/sub: is a directory\n")


def test_a_dangling_link_unsets(directory: Path) -> None:
    (directory / "LINK").symlink_to("nowhere")
    done = run(ours("envdir"), str(directory), "/usr/bin/env", env={"LINK": "x"})
    assert b"LINK" not in done.out and done.code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
@pytest.mark.parametrize(("mode", "file_mode"), [(0o600, 0o644), (0o711, 0o644), (0o755, 0o600)])
def test_what_may_not_be_read_is_told_as_by_the_original(mode: int, file_mode: int, directory: Path) -> None:
    for parent in (directory.parent, directory.parent.parent, directory.parent.parent.parent):
        parent.chmod(0o755)
    for file in list(directory.iterdir()):
        file.unlink()
    (directory / "A").touch()
    (directory / "A").chmod(file_mode)
    directory.chmod(mode)
    theirs = run(original("setuidgid"), "nobody", original("envdir"), str(directory), "true")
    with tempfile.TemporaryFile() as err:  # a fork, because nobody may not be able to reach this interpreter
        pid = os.fork()
        if pid == 0:
            os.dup2(err.fileno(), 2)
            os.setgroups([65534])
            os.setuid(65534)
            os._exit(envdir.main([b"envdir", bytes(directory), b"true"], {}))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        err.seek(0)
        assert (code, err.read()) == (theirs.code, theirs.err) and code == 111
