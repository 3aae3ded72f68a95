"""A disk that keeps only what it was told to keep: file operations written down, and what a power cut may leave of them.

Certain is what was fsynced: a file's bytes as of the file's last fsync, a directory's names as of the directory's.
Everything later may have reached the disk or not, name by name and file by file, in any combination: a name added may be
missing, a name removed may be back; a file may have its old bytes, its new ones, the first few of them, or its new
length with zeros where the new bytes should be.  No real file system is as bad; all of them stay within this."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Event = tuple[Any, ...]
Picture = dict[str, tuple[int, bytes]]  # each visible name: the file's number, and what is in it


class Recorder:
    """Writes down what happens below `root`; an `Around` for interpose.interposed.  Files are numbered as they come."""

    def __init__(self, root: Path) -> None:
        self.root = os.fsencode(root) + b"/"
        self.events: list[Event] = []
        self._files: dict[int, int] = {}  # inode to number

    def mark(self, *event: Any) -> None:
        """Write down something that the world outside has seen."""
        self.events.append(event)

    def __call__(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        before = getattr(self, f"_before_{name}", lambda *_: None)(*args)
        result = real(*args, **kwargs)
        getattr(self, f"_after_{name}")(before, result, *args)
        return result

    def _name(self, path: bytes) -> str | None:
        path = os.path.normpath(path)
        return os.fsdecode(path[len(self.root) :]) if path.startswith(self.root) else None

    def _file(self, fd: int) -> int | None:
        status = os.fstat(fd)
        return self._files[status.st_ino] if stat.S_ISREG(status.st_mode) and status.st_ino in self._files else None

    def _before_open(self, path: bytes, flags: int, mode: int = 0) -> bool:
        return bool(flags & os.O_CREAT) and not os.path.lexists(path)

    def _after_open(self, creates: bool, fd: int, path: bytes, flags: int, mode: int = 0) -> None:
        name = self._name(path)
        if flags & os.O_TMPFILE == os.O_TMPFILE and name is not None:
            self._files[os.fstat(fd).st_ino] = len(self.events)  # it has no name yet
            self.events.append(("made", len(self.events)))
        elif creates and name is not None:
            number = self._files[os.fstat(fd).st_ino] = len(self.events)
            self.events.append(("link", name, number))

    def _after_link(self, _: None, __: None, old: bytes, new: bytes, **how: int) -> None:
        self.events.append(("link", self._name(new), self._files[os.stat(new).st_ino]))

    def _after_unlink(self, _: None, __: None, path: bytes) -> None:
        self.events.append(("unlink", self._name(path)))

    def _before_rename(self, old: bytes, new: bytes) -> int:
        return self._files[os.stat(old).st_ino]

    def _after_rename(self, number: int, _: None, old: bytes, new: bytes) -> None:
        self.events += [("link", self._name(new), number), ("unlink", self._name(old))]

    def _before_write(self, fd: int, data: bytes) -> int | None:
        if self._file(fd) is None:
            return None
        import fcntl

        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND:
            return os.fstat(fd).st_size
        return os.lseek(fd, 0, os.SEEK_CUR)

    def _after_write(self, at: int | None, size: int, fd: int, data: bytes) -> None:
        if at is not None:
            self.events.append(("write", self._file(fd), at, bytes(data[:size])))

    def _after_pwrite(self, _: None, size: int, fd: int, data: bytes, at: int) -> None:
        self.events.append(("write", self._file(fd), at, bytes(data[:size])))

    def _after_ftruncate(self, _: None, __: None, fd: int, size: int) -> None:
        self.events.append(("truncate", self._file(fd), size))

    def _after_fsync(self, _: None, __: None, fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            name = self._name(os.fsencode(os.readlink(f"/proc/self/fd/{fd}")) + b"/x")
            self.events.append(("sync names", os.path.dirname(name or "")))
        else:
            self.events.append(("sync", self._file(fd)))


class Disk:
    """What is certain and what is only probable, after the events played so far."""

    def __init__(self) -> None:
        self.names: dict[str, list[int | None]] = {}  # versions of a name: the certain one first, the newest last
        self.certain: dict[int, bytes] = {}
        self.now: dict[int, bytes] = {}

    def play(self, event: Event) -> None:
        """One event further."""
        kind, *what = event
        if kind == "made":
            self.now[what[0]] = self.certain[what[0]] = b""
        elif kind == "link":
            self.names.setdefault(what[0], [None]).append(what[1])
            self.now.setdefault(what[1], b"")
            self.certain.setdefault(what[1], b"")
        elif kind == "unlink":
            self.names[what[0]].append(None)
        elif kind == "write":
            number, at, data = what
            old = self.now[number]
            self.now[number] = old[:at].ljust(at, b"\0") + data + old[at + len(data) :]
        elif kind == "truncate":
            self.now[what[0]] = self.now[what[0]][: what[1]]
        elif kind == "sync":
            self.certain[what[0]] = self.now[what[0]]
        elif kind == "sync names":
            for name, versions in self.names.items():
                if os.path.dirname(name) == what[0]:
                    del versions[:-1]

    def contents(self, number: int, chance: random.Random) -> list[bytes]:
        """What may be in a file."""
        certain, now = self.certain[number], self.now[number]
        if certain == now:
            return [now]
        same = len(os.path.commonprefix([certain, now]))  # noqa: RUF071
        cut = chance.randrange(same, max(len(now), same + 1))
        zeros = now[:same] + bytes(len(now) - same)
        choices = [certain, now, zeros, now[:cut], now[:cut] + bytes(len(now) - cut)]
        return list(dict.fromkeys(choices)) if len(certain) < len(now) else [certain, now]  # a mark is one byte

    def after_cut(self, chance: random.Random, count: int) -> Iterator[Picture]:
        """`count` states: from all uncertain lost, by way of all mixtures, to all kept."""
        for _ in range(count):
            picture: Picture = {}
            bytes_of: dict[int, bytes] = {}
            kept = chance.choice((0.0, 0.1, 0.5, 0.8, 0.95, 1.0))
            for name, versions in self.names.items():
                number = versions[-1] if chance.random() < kept else chance.choice(versions)
                if kept == 0.0:
                    number = versions[0]
                if number is None:
                    continue
                if number not in bytes_of:
                    choices = self.contents(number, chance)
                    bytes_of[number] = self.now[number] if chance.random() < kept else chance.choice(choices)
                picture[name] = (number, bytes_of[number])
            yield picture


def rebuild(picture: Picture, home: Path) -> None:
    """Put a state into an empty instance.  Messages get new numbers, for a number is the inode of the mess file."""
    made: dict[int, str] = {}
    numbers: dict[str, str] = {}
    for name in sorted(picture, key=lambda name: not name.startswith("queue/mess/")):
        number, data = picture[name]
        target = name
        base = name.rpartition("/")[2]
        if name.startswith("queue/") and base.isdigit():
            if base not in numbers:
                numbers[base] = _fresh(home, number, data, made if name.startswith("queue/mess/") else {})
            target = _renamed(name, numbers[base])
        if number in made:
            os.link(home / made[number], home / target)
            if made[number].startswith("fresh."):
                os.unlink(home / made.pop(number))
                made[number] = target
            continue
        (home / target).write_bytes(data)
        made[number] = target


def _fresh(home: Path, number: int, data: bytes, made: dict[int, str]) -> str:
    """A message number: the inode of the message, which is made here, or of a file that keeps the number taken."""
    path = home / f"fresh.{number}"
    path.write_bytes(data)
    inode = str(path.stat().st_ino)
    made[number] = path.name
    return inode


def _renamed(name: str, number: str) -> str:
    words = name.split("/")
    if len(words) == 4:
        words[2] = str(int(number) % 23)
    return "/".join([*words[:-1], number])


def wipe(home: Path) -> None:
    """Empty an instance."""
    for top in (
        "queue/pid",
        "queue/intd",
        "queue/todo",
        "queue/mess",
        "queue/info",
        "queue/local",
        "queue/remote",
        "queue/bounce",
        "Maildir",
        "Bounces",
    ):
        stack = [str(home / top)]
        while stack:
            for entry in os.scandir(stack.pop()):
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                else:
                    os.unlink(entry.path)
    for path in home.iterdir():
        if path.is_file():
            path.unlink()
