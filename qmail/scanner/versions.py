"""What the engines are, for the header and quarantine.log: `clamdscan: 0.94.2/9149. spamassassin: 2.63. `.

Asked for by `qmail-scanner-queue -z` (daily, from cron) and at configuration, not for each message: the answers are
kept in qmail-scanner-queue-version.txt in the spool."""

from __future__ import annotations

import os

from qmail.scanner.fields import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.scanner.settings import Settings

FILE = b"qmail-scanner-queue-version.txt"
UNKNOWN = b"unknown"

_cache: dict[bytes, tuple[object, dict[bytes, bytes]]] = {}  # what a version of the file says does not change


def line(wanted: Settings) -> bytes:
    """`name: version. ` for each engine that is asked, and for the own rules without one.  Never fails."""
    known = {b"perlscan": VERSION, **_read(wanted.spool)}
    names = [name for _, name, _ in wanted.engines()] or [b"perlscan"]
    return b"".join([b"%b: %b. " % (name, known.get(name, UNKNOWN)) for name in names])


def _read(spool: bytes) -> dict[bytes, bytes]:
    path = os.path.join(spool, FILE)
    try:
        about = os.stat(path)
        version = (about.st_ino, about.st_mtime_ns)
        if path not in _cache or _cache[path][0] != version:
            with open(path, "rb") as file:
                pairs = (text.split(b": ", 1) for text in file.read(65536).splitlines() if b": " in text)
                _cache.clear()
                _cache[path] = (version, {name: value.strip() for name, value in pairs})
    except OSError:
        return {}
    return _cache[path][1]


def write(spool: bytes, known: dict[bytes, bytes]) -> None:
    """Keep them.  Raises OSError."""
    path = os.path.join(spool, FILE)
    with open(path + b".new", "wb") as file:
        file.write(b"".join([b"%b: %b\n" % pair for pair in sorted(known.items())]))
    os.replace(path + b".new", path)
