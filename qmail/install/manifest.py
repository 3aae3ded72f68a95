"""What an installation has put onto the machine: PREFIX/lib/ucspi-qmail/manifest, one line for each.

    "f" mode owner:group sha256 path        a plain file
    "l" -    -           target path        a symbolic link; the target is quoted as in a URL
    "d" mode owner:group -      path        a directory that was made for it

Paths are those of the running machine, without DESTDIR.  It tells `check` what to compare, the next `setup` what is no
longer wanted, and `unsetup` what to remove: that and nothing else."""

from __future__ import annotations

import os
import stat
from urllib.parse import quote, unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qmail.install.accounts import Ids

HEAD = "# Written by qmail-setup: what it has installed.  check, setup and unsetup read it.\n"


class Entry:
    """One file, link or directory."""

    __slots__ = ("group", "kind", "mode", "path", "what")

    def __init__(self, kind: str, mode: int, group: str, what: str, path: str) -> None:
        """`what`: a file's digest, a link's target; empty for a directory.  The owner is root, always."""
        self.kind, self.mode, self.group, self.what, self.path = kind, mode, group, what, path

    def pack(self) -> str:
        """Its line."""
        if self.kind == "l":
            return f"l - - {quote(self.what)} {self.path}\n"
        return f"{self.kind} {self.mode:04o} root:{self.group} {self.what or '-'} {self.path}\n"

    @classmethod
    def unpack(cls, line: str) -> Entry:
        """Read a line.  Raises ValueError."""
        kind, mode, owner, what, path = line.rstrip("\n").split(" ", 4)
        if kind == "l":
            return cls(kind, 0, "root", unquote(what), path)
        return cls(kind, int(mode, 8), owner.partition(":")[2], "" if what == "-" else what, path)

    def wrong(self, destdir: str, ids: Ids) -> Iterator[str]:
        """What differs on the machine."""
        try:
            about = os.lstat(destdir + self.path)
        except FileNotFoundError:
            yield f"{self.path}: does not exist"
            return
        if stat.S_IFMT(about.st_mode) != {"f": stat.S_IFREG, "l": stat.S_IFLNK, "d": stat.S_IFDIR}[self.kind]:
            yield f"{self.path}: has wrong type"
            return
        if about.st_uid:
            yield f"{self.path}: has wrong owner: {about.st_uid}, not root"
        if self.kind == "l":
            if os.readlink(destdir + self.path) != self.what:
                yield f"{self.path}: leads to {os.readlink(destdir + self.path)}, not {self.what}"
            return
        if about.st_gid != ids.gids[self.group]:
            yield f"{self.path}: has wrong group: {about.st_gid}, not {self.group}"
        if stat.S_IMODE(about.st_mode) != self.mode:
            yield f"{self.path}: has wrong permissions: {stat.S_IMODE(about.st_mode):04o}, not {self.mode:04o}"
        if self.kind == "f" and digest(destdir + self.path) != self.what:
            yield f"{self.path}: has wrong content"


def read(path: str) -> list[Entry]:
    """All entries; none if there is no manifest.  Raises OSError, ValueError."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return [Entry.unpack(line) for line in file if not line.startswith("#")]
    except FileNotFoundError:
        return []


def text(entries: Iterable[Entry]) -> bytes:
    """The manifest of these."""
    lines = [entry.pack() for entry in sorted(entries, key=lambda entry: entry.path)]
    return (HEAD + "".join(lines)).encode("utf-8", "surrogateescape")


def of_tree(root: str, destdir: str) -> Iterator[Entry]:
    """The entries of everything below and including a directory."""
    yield of_file(root, destdir)
    for directory, names, files in os.walk(destdir + root):
        for name in names + files:
            yield of_file(os.path.join(directory, name)[len(destdir) :], destdir)


def of_file(path: str, destdir: str, group: str = "root") -> Entry:
    """The entry of what is there.  Raises OSError."""
    mode = os.lstat(destdir + path).st_mode
    if stat.S_ISLNK(mode):
        return Entry("l", 0, "root", os.readlink(destdir + path), path)
    if stat.S_ISDIR(mode):
        return Entry("d", stat.S_IMODE(mode), group, "", path)
    return Entry("f", stat.S_IMODE(mode), group, digest(destdir + path), path)


def digest(path: str) -> str:
    """SHA-256 of a file, in hex.  Raises OSError."""
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(entries: Iterable[Entry], destdir: str) -> list[str]:
    """Remove them, children first; directories only when they are empty, files only as they were installed.

    Returns what was left where it is.  Raises OSError."""
    left = []
    for entry in sorted(entries, key=lambda entry: entry.path, reverse=True):
        path = destdir + entry.path
        try:
            if entry.kind == "d":
                os.rmdir(path)
            elif entry.kind == "f" and digest(path) != entry.what:
                left.append(f"{entry.path}: is no longer what was installed; left there")
            else:
                os.unlink(path)
        except FileNotFoundError:
            continue
        except OSError:
            if entry.kind != "d":
                raise
    return left
