"""A maildir as POP3 shows it: a list made at the start, and the moves of QUIT.  qmail-pop3d(8), maildir(5).

    new/NAME  cur/NAME:2,FLAGS     messages; names that start with a dot are none
    tmp/NAME                       deliveries under way, or dead if not looked at for 36 hours

The list is sorted by time of delivery over both directories.  Nothing is locked: another program may take a message
away at any moment, and only the request for that message fails."""

from __future__ import annotations

import os

DEAD = 129600  # seconds: 36 hours, OSSIFIED; no delivery lasts longer than 24


class NoMaildir(Exception):
    """The directory is not there, or may not be entered."""


class Maildrop:
    """The messages of a maildir, oldest first, as they were when it was opened."""

    __slots__ = ("_directory", "_names", "sizes")

    def __init__(self, directory: bytes, now: int) -> None:
        """Raises NoMaildir; OSError if new or cur cannot be read."""
        try:
            # The dot: leave to search is wanted too, as for chdir.  An empty name is no directory.
            os.stat(directory and directory + b"/.")
        except OSError as e:
            raise NoMaildir from e
        self._directory = directory + b"/"
        sweep(directory + b"/tmp", now)
        # The order must not change while we look, so what came in this very second waits for the next session.
        before = now * 1_000_000_000
        found: list[tuple[int, bytes, int]] = []
        for part in (b"new/", b"cur/"):
            with os.scandir(self._directory + part) as entries:
                for entry in entries:
                    if entry.name.startswith(b"."):
                        continue
                    try:
                        about = entry.stat()
                    except OSError:
                        continue
                    if about.st_mtime_ns < before:
                        found.append((about.st_mtime_ns, part + entry.name, about.st_size))
        found.sort()
        self._names = [name for _, name, _ in found]
        self.sizes = [size for _, _, size in found]

    def unique(self, index: int) -> bytes:
        """The name that a message keeps for ever: its file name up to the first colon."""
        return self._names[index][4:].partition(b":")[0]

    def open(self, index: int) -> int:
        """A descriptor to read a message from.  Raises OSError."""
        return os.open(self._directory + self._names[index], os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def update(self, deleted: set[int]) -> int:
        """Remove the deleted messages and make the other new ones old.  Returns how many could not be removed."""
        failures = 0
        for index, name in enumerate(self._names):
            if index in deleted:
                try:
                    os.unlink(self._directory + name)
                except OSError:
                    failures += 1
            elif name.startswith(b"new/"):
                try:
                    os.rename(self._directory + name, b"%bcur/%b:2," % (self._directory, name[4:]))
                except OSError:
                    continue  # it stays new, no harm
        return failures


def sweep(tmp: bytes, now: int) -> None:
    """Remove what dead deliveries have left in a maildir's tmp.  Best effort."""
    try:
        entries = os.scandir(tmp)
    except OSError:
        return
    with entries:
        for entry in entries:
            try:
                if not entry.name.startswith(b".") and now > int(entry.stat().st_atime) + DEAD:
                    os.unlink(entry.path)
            except OSError:
                continue
