"""A mail host as `make users` and `make setup` make one: the source, a package index' worth of wheels, and root."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.classic import ClassicHost
from tests.support.house import demand
from tests.support.launchers import ROOT, Result
from tests.support.network import outside

SHARED = "UCSPI_QMAIL_TESTS"  # in the environment: see tests/system/conftest.py
ACCOUNTS = ("passwd", "shadow", "group", "gshadow")
SOURCE = "/var/src"
HOME = "/var/qmail"
PREFIX = "/usr/local"
PARTS = ("ucspi", "qmail", "man", "Makefile", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
SUPERVISE = "/var/qmail/supervise"


@functools.cache
def interpreter() -> str:
    """An interpreter that all users can run, as setup demands."""
    for python in ("/usr/bin/python3", getattr(sys, "_base_executable", sys.executable)):
        code = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
        if not os.access(python, os.X_OK) or subprocess.run([python, "-I", "-c", code]).returncode:
            continue
        if all(directory.stat().st_mode & 0o001 for directory in Path(python).resolve().parents):
            return python
    pytest.skip("needs a Python 3.11 with venv that all users can run (Debian package python3-venv)")


def shared() -> Path:
    """A directory that all processes of this test run have in common; pytest takes it away in time."""
    return Path(os.environ[SHARED])


@contextmanager
def alone() -> Iterator[None]:
    """One process at a time: what the others find is whole."""
    with open(shared() / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def wheels() -> str:
    """A directory with all that pip needs, made once in a test run."""
    place = shared() / "wheels"
    with alone():
        if not place.is_dir():
            source = shared() / "source"
            shutil.rmtree(source, ignore_errors=True)
            copy_source(source)
            make = ["make", "-C", str(source), "wheels", f"PYTHON={interpreter()}", f"WHEELS={place}.new"]
            with outside():
                done = subprocess.run(make, stdin=subprocess.DEVNULL, capture_output=True, timeout=600)
            assert done.returncode == 0, done
            os.rename(f"{place}.new", place)
            shutil.rmtree(source)
    return str(place)


def copy_source(to: Path) -> None:
    """What a release has, without what has been built in it."""
    to.mkdir(parents=True)
    for name in PARTS:
        file = ROOT / name
        if file.is_dir():
            shutil.copytree(file, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(file, to / name)


class InstalledHost(ClassicHost):
    """A bare machine with the source in SOURCE; /usr/local and /usr/sbin are its own as well."""

    PLACES = (*ClassicHost.PLACES, "usr/local", "usr/sbin")

    def _interpreter(self) -> tuple[Path, Path | None]:
        return Path(interpreter()), None

    def _install(self, home: Path) -> None:
        demand("make", "make")
        shutil.rmtree(home)
        home.mkdir(mode=0o755)
        own = home.parent.parent
        copy_source(own / SOURCE.lstrip("/"))
        shutil.copytree(wheels(), own / "var/wheels")
        (own / "usr/local").mkdir(parents=True)
        subprocess.run(["cp", "-a", "/usr/sbin", own / "usr/sbin"], check=True)
        (own / "usr/sbin/sendmail").unlink(missing_ok=True)  # another mail system's

    def make(self, *words: str) -> Result:
        """`make ...` in the source, by root."""
        return self.run("make", "-s", *words, f"PYTHON={interpreter()}", "WHEELS=/var/wheels", cwd=SOURCE, seconds=600)

    def set_up(self) -> None:
        """What INSTALL.md says; done once in a test run, and copied after that."""
        template = shared() / "installed"
        with alone():
            if not template.is_dir():
                for words in (["users"], ["setup", "check"]):
                    done = self.make(*words)
                    assert done.code == 0, done
                new = template.with_suffix(".new")
                new.mkdir()
                for name in (*(f"etc/{file}" for file in ACCOUNTS), "usr/local", "var/qmail"):
                    (new / name).parent.mkdir(parents=True, exist_ok=True)
                    subprocess.run(["cp", "-a", self._own / name, new / name], check=True)
                new.rename(template)
                return
        subprocess.run(["cp", "-a", f"{template}/.", self._own], check=True)

    def control(self, **files: str) -> None:
        """Write control files."""
        for name, value in files.items():
            self.write(f"{HOME}/control/{name}", value + "\n")

    def trace(self) -> dict[str, tuple[int, int, int, str]]:
        """Every file below the places that an installation writes to: mode, owner, group, and content or target."""
        found = {}
        for top in (HOME, PREFIX, "/usr/sbin/sendmail"):
            root = self.file(top)
            for path in [root, *root.rglob("*")] if root.is_dir() else []:
                about = path.lstat()
                what = os.readlink(path) if path.is_symlink() else ""
                what = path.read_bytes().hex() if path.is_file() and not path.is_symlink() else what
                name = f"{top}/{path.relative_to(root)}"
                found[name] = (about.st_mode, about.st_uid, about.st_gid, what)
        return found
