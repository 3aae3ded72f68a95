"""Control files that list names, as sets: rcpthosts, badmailfrom.  qmail-control(5).

A server reads them for every connection, and they may be long.  So what the last readings gave is kept, and used as
long as the file is provably the same one: this is the one place in the program that remembers anything from one
connection to the next."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.core.control import Control

    Version = tuple[int, int, int, int, int]

KEPT = 8  # files; a process that serves connections reads two
# Younger files are not kept: they may change again within the granularity of the file system's clock.
SETTLED = 2.0  # seconds

_kept: dict[bytes, tuple[Version, frozenset[bytes]]] = {}


def load(control: Control, name: bytes) -> frozenset[bytes] | None:
    """The lines of control file `name`, in lower case; None if there is no such file.  OSError if it cannot be read."""
    path = control.directory + b"/" + name
    version = _version(path)
    if version is None:
        return None
    kept = _kept.get(path)
    if kept is not None and kept[0] == version:
        return kept[1]
    entries = control.entries(name)
    if entries is None:
        return None
    names = frozenset([entry.lower() for entry in entries])
    # ctime, which nobody can set, is newer than any change to what the file says or who may read it.
    if time.time() - version[-1] / 1e9 > SETTLED and _version(path) == version:
        if len(_kept) >= KEPT:
            _kept.clear()
        _kept[path] = version, names
    return names


def _version(path: bytes) -> Version | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
