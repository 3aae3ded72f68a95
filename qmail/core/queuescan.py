"""Everything that lies in a queue, sorted by what it is called.  queue-fix(8).

A queue that somebody has copied, restored, patched or merged may hold anything.  Here names are only read; what they
mean together is queuecheck's business.

Directories are read in the order in which a message leaves them backwards, mess last: beside a running qmail-queue no
envelope is seen whose message is not."""

from __future__ import annotations

import os
import stat

from ucspi.core import scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmail.core.queuedir import Queue

SPLIT_KINDS = (b"local", b"remote", b"info", b"mess")
FLAT_KINDS = (b"hold", b"bounce", b"todo", b"intd")
KINDS = (b"hold", b"bounce", b"local", b"remote", b"info", b"todo", b"intd", b"mess")
RENUMBERED = b".renumbered"  # behind the new number of a file that is on its way to it
ASIDE = b"aside"  # where a repair puts what it takes out of the queue
# What may stand in the queue's own directory, and in lock/ and hold/, beside messages.
TOP = frozenset((*KINDS, b"pid", b"lock", ASIDE, b"lost+found"))
LOCK = frozenset((b"sendmutex", b"tcpto", b"trigger"))
SOCKET = b"ctl"


class Scan:
    """What was found.  Names are relative to the queue."""

    def __init__(self, queue: Queue) -> None:
        """Raises OSError if a directory cannot be read; one that is missing is empty."""
        self.queue = queue
        self.files: dict[bytes, dict[int, list[bytes]]] = {kind: {} for kind in KINDS}  # by kind and number
        self.renumbered: list[bytes] = []
        self.strays: list[bytes] = []
        self.extra: list[bytes] = []  # directories that belong to another split, or to split todo and intd
        for kind in KINDS:
            self._read(kind)
        self.unknown = [name for name in self._names(b"") if name not in TOP]
        self.unknown += [b"lock/" + name for name in self._names(b"lock") if name not in LOCK]

    def numbers(self) -> Iterator[int]:
        """Every number that any file has, in order."""
        found: set[int] = set()
        for kind in KINDS:
            found.update(self.files[kind])
        return iter(sorted(found))

    def right(self, kind: bytes, n: int) -> bytes:
        """What a file must be called."""
        return self.queue.split_name(kind, n) if kind in SPLIT_KINDS else self.queue.flat_name(kind, n)

    def has(self, kind: bytes, n: int) -> bool:
        """Is there such a file, wherever?"""
        return n in self.files[kind]

    def _read(self, kind: bytes) -> None:
        for name in sorted(self._names(kind), key=_order):
            path = kind + b"/" + name
            if _is_canonical(name) and self._is_directory(path):
                if kind in FLAT_KINDS or self.right(kind, int(name)) != kind + b"/%d/%d" % (int(name), int(name)):
                    self.extra.append(path)
                for inner in sorted(self._names(path), key=_order):
                    self._sort(kind, path + b"/" + inner, inner)
            else:
                self._sort(kind, path, name)

    def _sort(self, kind: bytes, path: bytes, name: bytes) -> None:
        number = name.removesuffix(RENUMBERED)
        if kind == b"hold" and name == SOCKET:
            return
        if not _is_canonical(number) or not stat.S_ISREG(_mode(self.queue.at(path))):
            self.strays.append(path)
        elif number != name:
            self.renumbered.append(path)
        else:
            self.files[kind].setdefault(int(name), []).append(path)

    def _names(self, directory: bytes) -> list[bytes]:
        try:
            return os.listdir(self.queue.at(directory))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _is_directory(self, name: bytes) -> bool:
        return stat.S_ISDIR(_mode(self.queue.at(name)))


def _is_canonical(name: bytes) -> bool:
    """A number as the queue's programs write it: no zeros in front, and within 64 bits."""
    return scan.is_number(name) and name == b"%d" % scan.number(name)


def _order(name: bytes) -> tuple[int, bytes]:
    return (len(name), name)


def _mode(path: bytes) -> int:
    try:
        return os.lstat(path).st_mode
    except FileNotFoundError:
        return stat.S_IFREG  # it has gone meanwhile: no reason to call it a stray
