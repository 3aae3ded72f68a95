"""The messages of a maildir for programs that carry them elsewhere or show them.  maildir(5), maildir2mbox(1).

MAILDIR names the directory.  What is younger than a second waits, so that the order of delivery is kept."""

from __future__ import annotations

import os

from qmail.core import maildrop
from ucspi.core import errtext
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def directory(env: Mapping[bytes, bytes]) -> bytes:
    """The maildir.  Raises TemporaryFailure."""
    name = env.get(b"MAILDIR")
    if name is None:
        raise TemporaryFailure("MAILDIR not set")
    try:
        os.stat(name and name + b"/.")
    except OSError as e:
        raise TemporaryFailure(f"unable to chdir to {os.fsdecode(name)}: {errtext.text(e)}") from e
    return name


def messages(maildir: bytes, parts: Sequence[bytes], now: int) -> list[tuple[int, bytes]]:
    """(time of delivery, name below the maildir) of the messages in new, cur or both, oldest first; tmp is tidied.

    Raises TemporaryFailure."""
    maildrop.sweep(maildir + b"/tmp", now)
    found: list[tuple[int, bytes]] = []
    for part in parts:
        try:
            with os.scandir(maildir + b"/" + part) as entries:
                for entry in entries:
                    _add(found, part, entry, now)
        except OSError as e:
            raise TemporaryFailure(f"unable to scan $MAILDIR/{os.fsdecode(part)}: {errtext.text(e)}") from e
    found.sort()
    return [(nanoseconds // 1_000_000_000, name) for nanoseconds, name in found]


def _add(found: list[tuple[int, bytes]], part: bytes, entry: os.DirEntry[bytes], now: int) -> None:
    if entry.name.startswith(b"."):
        return
    try:
        when = entry.stat().st_mtime_ns
    except OSError:
        return  # somebody took it away
    if when < now * 1_000_000_000:
        found.append((when, part + b"/" + entry.name))
