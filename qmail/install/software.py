"""The project and its libraries in a virtual environment of their own: PREFIX/lib/ucspi-qmail/VERSION-FINGERPRINT.

The fingerprint is that of the source and of what it is built with.  A new version stands beside the old one, which
daemons that are still running import from; launchers are then replaced one by one, each in one step.

pip installs into the environment and is then removed from it.  What stays all can read, and only root can write."""

from __future__ import annotations

import configparser
import os
import shutil
import sys

import ucspi
from ucspi.core import launchers
from ucspi.core.failure import PermanentFailure, TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("ucspi", "qmail")
METADATA = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
CONF = "qmail/core/conf.py"
TOOLS = ("pip", "setuptools", "wheel")


class Source:
    """The project's directory, as it was unpacked."""

    def __init__(self, directory: str) -> None:
        """Raises PermanentFailure if it is none."""
        self.directory = directory
        missing = [name for name in METADATA if not os.path.exists(os.path.join(directory, name))]
        if missing:
            raise PermanentFailure(f"{directory} is not the source: it has no {missing[0]}; run `make setup` there")

    def programs(self) -> dict[str, str]:
        """Name and module of every program, as setup.cfg declares them."""
        config = configparser.ConfigParser()
        config.read(os.path.join(self.directory, "setup.cfg"))
        lines = [line for group in launchers.GROUPS for line in config["options.entry_points"][group].splitlines()]
        pairs = [line.partition("=") for line in lines if "=" in line]
        return {name.strip(): target.strip().partition(":")[0] for name, _, target in pairs}

    def manuals(self) -> dict[str, str]:
        """man1/tcpserver.1 and so on, and where each is."""
        top = os.path.join(self.directory, "man")
        found = (os.path.join(section, page) for section in os.listdir(top) for page in os.listdir(f"{top}/{section}"))
        return {name: os.path.join(top, name) for name in sorted(found)}

    def files(self) -> Iterator[str]:
        """What pip needs, relative to the directory, in order."""
        yield from METADATA
        for package in PACKAGES:
            for directory, names, files in os.walk(os.path.join(self.directory, package)):
                names[:] = sorted(name for name in names if name != "__pycache__")
                for name in sorted(files):
                    yield os.path.relpath(os.path.join(directory, name), self.directory)

    def fingerprint(self, *words: str) -> str:
        """Of all these files, of this interpreter, and of `words`."""
        import hashlib

        found = hashlib.sha256(repr((sys.version, words, launchers.TEMPLATE, launchers.BY_SHELL)).encode())
        for name in self.files():
            with open(os.path.join(self.directory, name), "rb") as file:
                found.update(b"%b\0%b" % (os.fsencode(name), hashlib.file_digest(file, "sha256").digest()))
        return found.hexdigest()[:12]

    def copy(self, to: str, home: str, prefix: str) -> None:
        """What pip needs, with the places that it is built for."""
        for name in self.files():
            target = os.path.join(to, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(os.path.join(self.directory, name), target)
        conf = os.path.join(to, CONF)
        with open(conf, encoding="utf-8") as file:
            text = file.read()
        with open(conf, "w", encoding="utf-8") as file:
            file.write(text.partition("HOME = ")[0])
            file.write(f"HOME = {os.fsencode(home)!r}\nPREFIX = {os.fsencode(prefix)!r}\n")


class Software:
    """One version, installed or to be."""

    def __init__(self, source: Source, home: str, prefix: str, destdir: str, python: str) -> None:
        """Raises PermanentFailure if no launcher can be written for this place."""
        fingerprint = source.fingerprint(home, prefix, python)
        self.source, self.home, self.prefix, self.destdir = source, home, prefix, destdir
        self.root = f"{prefix}/lib/ucspi-qmail/{ucspi.__version__}-{fingerprint}"
        self.launcher("")

    def build(self, wheels: str) -> None:
        """Make it; it appears whole or not at all.  Raises TemporaryFailure, OSError."""
        import tempfile

        parent = os.path.dirname(self.destdir + self.root)
        work = tempfile.mkdtemp(prefix="new.", dir=parent)
        try:
            os.mkdir(f"{work}/source")
            self.source.copy(f"{work}/source", self.home, self.prefix)
            self._install(f"{work}/venv", f"{work}/source", wheels)
            self._strip(f"{work}/venv")
            if os.path.lexists(self.destdir + self.root):
                os.rename(self.destdir + self.root, f"{work}/old")  # it was damaged, or we would not be here
            os.rename(f"{work}/venv", self.destdir + self.root)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def launcher(self, module: str) -> bytes:
        """The text of a program's launcher."""
        return launchers.text(module, f"{self.root}/bin/python", [self._libraries()]).encode()

    def _libraries(self) -> str:
        return f"{self.root}/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"

    def _install(self, venv: str, source: str, wheels: str) -> None:
        _run(sys.executable, "-I", "-m", "venv", venv)
        pip = (f"{venv}/bin/python", "-I", "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-cache-dir")
        where = ("--no-index", "--find-links", os.path.abspath(wheels)) if wheels else ()
        _run(*pip, "install", "--no-compile", "--no-warn-script-location", *where, source)
        present = [tool for tool in TOOLS if _run(*pip, "show", tool, check=False) == 0]
        _run(*pip, "uninstall", "--yes", *reversed(present))

    def _strip(self, venv: str) -> None:
        """Leave what the programs need: nothing else that can be run, and no path that will be gone."""
        for name in os.listdir(f"{venv}/bin"):
            if not name.startswith("python"):
                os.unlink(f"{venv}/bin/{name}")
        for name, module in self.source.programs().items():  # where programs.locate looks last
            with open(f"{venv}/bin/{name}", "wb") as file:
                file.write(self.launcher(module))
                os.fchmod(file.fileno(), 0o755)
        with open(f"{venv}/pyvenv.cfg", encoding="utf-8") as file:
            lines = [line for line in file if not line.startswith("command")]
        with open(f"{venv}/pyvenv.cfg", "w", encoding="utf-8") as file:
            file.writelines(lines)
        shutil.rmtree(f"{venv}/include", ignore_errors=True)
        for directory, names, files in os.walk(venv):
            if "direct_url.json" in files:  # where pip took us from
                os.unlink(os.path.join(directory, "direct_url.json"))
                files.remove("direct_url.json")
            for name in [name for name in names if name == "__pycache__"]:
                shutil.rmtree(os.path.join(directory, name))
                names.remove(name)
            for name in [*names, *files, "."]:
                self._open(os.path.join(directory, name))
        _run(f"{venv}/bin/python", "-I", "-m", "compileall", "-q", "-s", venv, "-p", self.root, f"{venv}/lib")

    def _open(self, path: str) -> None:
        os.lchown(path, 0, 0)
        if not os.path.islink(path):
            os.chmod(path, 0o755 if os.path.isdir(path) or os.stat(path).st_mode & 0o100 else 0o644)


def _run(*words: str, check: bool = True) -> int:
    """Run a command to its end.  Raises TemporaryFailure if it has to succeed and does not."""
    import subprocess

    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if check and done.returncode:
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        told = [line.strip() for line in lines if "error:" in line.lower()]  # pip's last lines only say that it failed
        raise TemporaryFailure(f"failed: {' '.join(words)}: {' / '.join(told[:3] or lines[-3:])}")
    return done.returncode
