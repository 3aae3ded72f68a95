"""Our programs as files to exec, and the C originals next to them.

The launchers are written as an installation would write them, from setup.cfg's entry points, so that tests need no
installation and still start programs by name."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.programs import programs

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def directory() -> str:
    """A directory with a launcher for every program in setup.cfg."""
    made = tempfile.mkdtemp(prefix="launchers-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    os.chmod(made, 0o755)
    for name, module in programs().items():
        _write(Path(made, name), module)
    return made


def _write(file: Path, module: str) -> None:
    paths = [str(ROOT), *(entry for entry in sys.path if entry.endswith("-packages"))]
    file.write_text(
        f"#!{sys.executable} -IS\nimport sys\nsys.path[:0] = {paths!r}\nfrom {module} import main\nsys.exit(main())\n"
    )
    file.chmod(0o755)


@functools.cache
def for_everybody() -> str | None:
    """Launchers that any account can use, though the interpreter of the tests may be in somebody's home."""
    if all(place.stat().st_mode & 1 for place in (ROOT, *ROOT.parents)):
        python = os.path.realpath(sys.executable)
        if all(place.stat().st_mode & 1 for place in Path(python).parents):
            return directory()
        python = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        if os.path.exists(python):
            made = tempfile.mkdtemp(prefix="launchers-")
            atexit.register(shutil.rmtree, made, ignore_errors=True)
            os.chmod(made, 0o755)
            for file in Path(directory()).iterdir():
                _, rest = file.read_text().split("\n", 1)
                copy = Path(made, file.name)
                copy.write_text(f"#!{python} -IS\n{rest}")
                copy.chmod(0o755)
            return made
    return None


def ours(name: str) -> str:
    """The path of our launcher."""
    return os.path.join(directory(), name)


def original(name: str) -> str:
    """The path of the C original; skips the test where it is not installed."""
    for place in ("/usr/bin", "/bin", "/usr/sbin"):
        file = Path(place, name)
        if file.exists() and ROOT not in file.resolve().parents and b"python" not in file.read_bytes()[:64]:
            return str(file)
    pytest.skip(f"the original {name} is not installed")


class Result:
    """What a program left behind; compares by value."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code, self.out, self.err = code, out, err

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and self.__dict__ == other.__dict__

    def __repr__(self) -> str:
        return f"Result({self.code}, {self.out!r}, {self.err!r})"


def run(
    file: str,
    *args: str | bytes,
    stdin: bytes = b"",
    env: Mapping[str, str | bytes] | None = None,
    cwd: str | Path | None = None,
    timeout: float = 30,
    fds: Sequence[int] = (),
) -> Result:
    """Run a program with an environment of PATH and `env` alone."""
    environment: dict[str, str | bytes] = {"PATH": f"{directory()}:/bin:/usr/bin", **(env or {})}
    done = subprocess.run(
        [file, *args], input=stdin, capture_output=True, env=environment, cwd=cwd, timeout=timeout, pass_fds=fds
    )
    return Result(done.returncode, done.stdout, done.stderr)


def ignored(mask: bytes) -> int:
    """A mask of signals without 32 and 33: glibc's own, for threads, which its posix_spawn leaves ignored."""
    return int(mask, 16) & ~(3 << 31)
