"""One installation on a machine: made, checked, removed.  qmail-setup(8).

    PREFIX/lib/ucspi-qmail        software.py: the virtual environment; and the manifest
    PREFIX/bin, QMAILHOME/bin     launchers, where the originals have their programs
    PREFIX/share/man              manual pages
    QMAILHOME                     hierarchy.py: directories and queue; boot.py: start scripts

A file that stands where one of ours goes and is not ours, an original program say, is moved into .replaced beside it,
which is closed to all but root, and comes back when ours is removed."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager

from qmail.install import boot, hierarchy, interpreter, manifest
from qmail.install.accounts import Ids
from qmail.install.software import Software, Source
from ucspi.core.failure import PermanentFailure, TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPLACED = ".replaced"
# Modules whose programs the originals install below QMAILHOME; all others, and these of qmail, go to PREFIX.
OWN = "qmail."
ELSEWHERE = ("qmail.checkpassword", "qmail.analog.")
# The system has its own, with options that scripts use; qmail's lies in its build directory.
HIDING = ("hostname",)


class Wanted:
    """A file that is to be there."""

    __slots__ = ("data", "group", "mode", "path")

    def __init__(self, path: str, data: bytes, mode: int, group: str = "root") -> None:
        self.path, self.data, self.mode, self.group = path, data, mode, group


class Installation:
    """Below `destdir`, to be run as if that were /."""

    def __init__(self, home: str, prefix: str, destdir: str, say: Callable[[str], None]) -> None:
        self.home, self.prefix, self.destdir, self.say = home, prefix, destdir, say
        self.lib = prefix + "/lib/ucspi-qmail"
        self.manifest = self.lib + "/manifest"

    # --- setup

    def install(self, source: Source, wheels: str) -> None:
        """Make it, or bring it up to date.  Says what it changes.  Raises Failure, OSError."""
        with alone(self.destdir + self.prefix):
            self._install(source, wheels)

    def _install(self, source: Source, wheels: str) -> None:
        python = interpreter.demand()
        for path in (self.home, self.prefix):
            if obstacle := interpreter.closed(self.destdir + path):
                raise PermanentFailure(f"{path} would not be for other users: {obstacle}")
        self.ids = Ids(self.home)
        hierarchy.demand_split(self.destdir + self.home)
        software = Software(source, self.home, self.prefix, self.destdir, python)
        old = {entry.path: entry for entry in manifest.read(self.destdir + self.manifest)}
        made = self._directories(old)
        self._write(manifest.text({**old, **made}.values()))  # what is made can be removed, whatever comes
        tree = {path: entry for path, entry in old.items() if _below(path, software.root)}
        if not tree or next(self._wrong_in(software.root, tree), None):
            software.build(wheels)
            self.say(f"made {software.root}")
            tree = {entry.path: entry for entry in manifest.of_tree(software.root, self.destdir)}
        tree |= self._kept(old, software)
        self.make_home()
        wanted = list(self._wanted(source, software))
        files = {file.path: _entry(file) for file in wanted}
        self._write(manifest.text({**old, **made, **tree, **files}.values()))  # and what is about to be
        written = [file.path for file in wanted if self._put(file, old)]
        for line in [f"wrote {path}" for path in written] if self._known(old) else [f"wrote {len(written)} files"]:
            self.say(line)
        new = {**made, **tree, **files}
        self._discard(old, new)
        self._write(manifest.text(new.values()))

    def make_home(self) -> None:
        """Directories and queue."""
        self.ids = Ids(self.home)
        fresh = not os.path.lexists(f"{self.destdir}{self.home}/queue")
        for place in hierarchy.places(self.home, self.ids):
            new = not os.path.lexists(self.destdir + place.path)
            if place.make(self.destdir) and not (fresh and place.path.startswith(f"{self.home}/queue/")):
                self.say(f"{'made' if new else 'set right'} {place.path}")

    def _directories(self, old: dict[str, manifest.Entry]) -> dict[str, manifest.Entry]:
        """Make those of PREFIX; returns the ones that are ours to remove."""
        sections = [f"{self.prefix}/share/man/man{number}" for number in (1, 5, 7, 8)]
        made = {}
        os.makedirs(self.destdir or "/", exist_ok=True)
        for path in (f"{self.prefix}/bin", self.lib, *sections):
            steps = [path]
            while not os.path.isdir(self.destdir + steps[-1]):
                steps.append(os.path.dirname(steps[-1]))
            for step in reversed(steps[:-1]):
                os.mkdir(self.destdir + step, 0o755)
                os.chmod(self.destdir + step, 0o755)
                made[step] = manifest.of_file(step, self.destdir)
        return made | {
            path: entry for path, entry in old.items() if entry.kind == "d" and not _below(path, self.lib + "/")
        }

    def _wanted(self, source: Source, software: Software) -> Iterator[Wanted]:
        for name, module in source.programs().items():
            if name in HIDING:
                continue
            own = module.startswith(OWN) and not module.startswith(ELSEWHERE)
            directory = self.home if own else self.prefix
            yield Wanted(f"{directory}/bin/{name}", software.launcher(module), 0o755, "qmail" if own else "root")
        for name, path in source.manuals().items():
            with open(path, "rb") as file:
                yield Wanted(f"{self.prefix}/share/man/{name}", file.read(), 0o644)
        for name, text in boot.scripts(self.home, self.prefix).items():
            yield Wanted(f"{self.home}/boot/{name}", text, 0o755, "qmail")

    def _known(self, old: dict[str, manifest.Entry]) -> bool:
        """Has there been an installation before?"""
        return any(entry.kind == "f" for entry in old.values())

    def _put(self, file: Wanted, old: dict[str, manifest.Entry]) -> bool:
        """Write one file; False if it is there as it should be."""
        path = self.destdir + file.path
        if os.path.lexists(path):
            if (
                not os.path.islink(path)
                and manifest.of_file(file.path, self.destdir, file.group).pack() == _entry(file).pack()
            ):
                about = os.stat(path)
                if (about.st_uid, about.st_gid) == (0, self.ids.gids[file.group]):
                    return False
            if not self._is_ours(path, old.get(file.path)):
                self.say(f"moved {file.path} to {_aside(path)[len(self.destdir) :]}")
        with open(path + ".new", "wb") as new:
            os.fchown(new.fileno(), 0, self.ids.gids[file.group])
            os.fchmod(new.fileno(), file.mode)
            new.write(file.data)
        os.rename(path + ".new", path)
        return True

    def _is_ours(self, path: str, entry: manifest.Entry | None) -> bool:
        with open(path, "rb") as file:
            start = file.read(4096)
        if self.lib.encode() in start and b"import main" in start:
            return True  # a launcher, of whatever version
        return (
            entry is not None and entry.kind == "f" and not os.path.islink(path) and manifest.digest(path) == entry.what
        )

    def _kept(self, old: dict[str, manifest.Entry], software: Software) -> dict[str, manifest.Entry]:
        """Other versions that stay: daemons may be running the one before this, until the next comes.

        Those that launchers start, if this one is new; else all that stayed then.  A damaged one is none."""
        roots = {path for path in old if os.path.dirname(path) == self.lib and old[path].kind == "d"} - {software.root}
        if software.root not in old:
            roots &= self._started(old)
        kept: dict[str, manifest.Entry] = {}
        for root in roots:
            tree = {path: entry for path, entry in old.items() if _below(path, root)}
            if not next(self._wrong_in(root, tree), None):
                kept |= tree
        return kept

    def _started(self, old: dict[str, manifest.Entry]) -> set[str]:
        """The versions that launchers start."""
        started = set()
        for path, entry in old.items():
            if entry.kind == "f" and not _below(path, self.lib) and os.path.isfile(self.destdir + path):
                with open(self.destdir + path, "rb") as file:
                    started.add(os.fsdecode(file.readline(4096)[2:]).partition("/bin/python")[0])
        return started

    def _discard(self, old: dict[str, manifest.Entry], new: dict[str, manifest.Entry]) -> None:
        """Remove what an earlier version had and this one has not, and versions that do not stay."""
        gone = [entry for path, entry in old.items() if path not in new and not _below(path, self.lib + "/")]
        for line in manifest.remove(gone, self.destdir):
            self.say(line)
        for entry in gone:
            self.say(f"removed {entry.path}")
        for name in os.listdir(self.destdir + self.lib):
            root = f"{self.lib}/{name}"
            if os.path.isdir(self.destdir + root) and root not in new:
                shutil.rmtree(self.destdir + root)
                self.say(f"removed {root}")

    def _write(self, text: bytes) -> None:
        path = self.destdir + self.manifest
        try:
            with open(path, "rb") as file:
                if file.read() == text:
                    return
        except FileNotFoundError:
            pass
        with open(path + ".new", "wb") as new:
            os.fchmod(new.fileno(), 0o644)
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        os.rename(path + ".new", path)

    # --- check

    def wrong(self) -> Iterator[str]:
        """Everything that differs from what was installed.  Raises Failure, OSError."""
        self.ids = Ids(self.home)
        entries = manifest.read(self.destdir + self.manifest)
        if not entries:
            yield f"{self.manifest}: does not exist: nothing is installed there"
        for place in hierarchy.places(self.home, self.ids):
            yield from place.wrong(self.destdir)
        known = {entry.path: entry for entry in entries}
        for entry in entries:
            if not _below(entry.path, self.lib):
                yield from entry.wrong(self.destdir, self.ids)
        for root in sorted(path for path in known if os.path.dirname(path) == self.lib):
            yield from self._wrong_in(root, {path: entry for path, entry in known.items() if _below(path, root)})

    def _wrong_in(self, root: str, known: dict[str, manifest.Entry]) -> Iterator[str]:
        """A version of the software, in which nothing may be that was not put there."""
        for entry in known.values():
            yield from entry.wrong(self.destdir, self.ids)
        if os.path.isdir(self.destdir + root):
            for entry in manifest.of_tree(root, self.destdir):
                if entry.path not in known:
                    yield f"{entry.path}: is not part of the installation"

    # --- unsetup

    def remove(self) -> None:
        """Take the programs away; queue, control, alias and users stay.  Raises Failure, OSError."""
        with alone(self.destdir + self.prefix):
            self._remove()

    def _remove(self) -> None:
        entries = manifest.read(self.destdir + self.manifest)
        if not entries:
            raise TemporaryFailure(f"{self.manifest}: does not exist: nothing is installed there")
        for line in manifest.remove([entry for entry in entries if not _below(entry.path, self.lib)], self.destdir):
            self.say(line)
        for directory in sorted({os.path.dirname(entry.path) for entry in entries if entry.kind == "f"}):
            if not _below(directory, self.lib):
                for path in _back(self.destdir + directory):
                    self.say(f"brought back {path[len(self.destdir) :]}")
        shutil.rmtree(self.destdir + self.lib)
        ours = [manifest.Entry("d", 0, "root", "", f"{self.home}/{name}") for name in ("bin", "boot")]
        manifest.remove([*(entry for entry in entries if entry.kind == "d"), *ours], self.destdir)
        self.say(f"removed {len(entries)} files; {self.home} keeps queue, control, alias and users")


@contextmanager
def alone(prefix: str) -> Iterator[None]:
    """While no other qmail-setup is at work there: each of two would take the other's files for left-overs."""
    directory = prefix or "/"
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise TemporaryFailure("another qmail-setup is at work") from None
    finally:
        os.close(fd)


def _entry(file: Wanted) -> manifest.Entry:
    import hashlib

    return manifest.Entry("f", file.mode, file.group, hashlib.sha256(file.data).hexdigest(), file.path)


def _below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _aside(path: str) -> str:
    """Move somebody else's file out of the way; returns where it is."""
    directory, name = os.path.split(path)
    place = f"{directory}/{REPLACED}"
    if not os.path.isdir(place):
        os.mkdir(place, 0o700)
    target, number = f"{place}/{name}", 1
    while os.path.lexists(target):
        number += 1
        target = f"{place}/{name}.{number}"
    os.rename(path, target)
    return target


def _back(directory: str) -> Iterator[str]:
    """Bring back what was moved aside, unless something else stands there now; yields the paths."""
    place = f"{directory}/{REPLACED}"
    if not os.path.isdir(place):
        return
    for name in sorted(os.listdir(place)):
        target = f"{directory}/{name}"
        if not os.path.lexists(target):
            os.rename(f"{place}/{name}", target)
            yield target
    try:
        os.rmdir(place)
    except OSError:
        pass  # later versions of the same file are left in it
