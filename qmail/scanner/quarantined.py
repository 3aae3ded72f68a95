"""The quarantine: maildirs in the spool, one for each kind of finding.  quarantine(8).

    quarantine/viruses, quarantine/policy, quarantine/spam      each with tmp, new, cur

A file is the message as it was received, below its envelope (keeping.py) and above all
    X-Qmail-Scanner-Quarantine: KIND SCANNER NAME"""

from __future__ import annotations

import os

from qmail.scanner import keeping, safe
from ucspi.core import streams
from ucspi.core.failure import PermanentFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qmail.scanner.decision import Finding

PLACES = {"virus": b"viruses", "policy": b"policy", "spam": b"spam"}  # by kind of finding
_FOUND = b"X-Qmail-Scanner-Quarantine: "
_PREFIXES = (_FOUND, *keeping.ENVELOPE)
LONGEST = 8 << 20  # bytes of the three lines


class NotQuarantined(PermanentFailure):
    """There is no such message, or it is none of ours."""


def directory(spool: bytes, kind: str) -> bytes:
    """The maildir for a kind of finding."""
    return b"/".join((spool, b"quarantine", PLACES[kind]))


def keep(
    spool: bytes, name: bytes, finding: Finding, sender: bytes, recipients: Sequence[bytes], blocks: Iterable[bytes]
) -> bytes:
    """Put a message into quarantine, where it lasts on return.  Returns its path; raises OSError, and left nothing."""
    found = b" ".join((finding.kind.encode(), safe.word(finding.scanner), safe.text(finding.name)))
    head = _FOUND + found + b"\n" + keeping.envelope(sender, recipients)
    return keeping.keep(directory(spool, finding.kind), name, head, blocks)


class Quarantined:
    """One message in the quarantine."""

    __slots__ = ("_body", "event", "kind", "name", "path", "recipients", "scanner", "sender", "size", "when")

    def __init__(self, path: bytes) -> None:
        """Raises OSError or NotQuarantined."""
        self.path = path
        self.name = os.path.basename(path)
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            about = os.fstat(fd)
            lines = [file.readline(LONGEST) for _ in _PREFIXES]
            self._body = file.tell()
        self.when = about.st_mtime
        self.size = about.st_size - self._body
        if not all(line.startswith(prefix) for line, prefix in zip(lines, _PREFIXES, strict=True)):
            raise NotQuarantined(f"{os.fsdecode(path)}: not a quarantined message")
        finding, sender, recipients = (
            line[len(prefix) :].rstrip(b"\n") for line, prefix in zip(lines, _PREFIXES, strict=True)
        )
        words = finding.split(b" ", 2)
        self.kind, self.scanner, self.event = words if len(words) == 3 else (b"?", b"?", finding)
        try:
            self.sender = keeping.unescaped(sender)
            self.recipients = [keeping.unescaped(word) for word in recipients.split(b",")] if recipients else []
        except ValueError as error:
            raise NotQuarantined(f"{os.fsdecode(path)}: its envelope is damaged") from error

    def blocks(self) -> Iterator[bytes]:
        """The message as it was received.  Raises OSError."""
        fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.lseek(fd, self._body, os.SEEK_SET)
            yield from streams.blocks(fd)
        finally:
            os.close(fd)


def all_in(spool: bytes) -> Iterator[bytes]:
    """The paths of all that is in quarantine, oldest first within each kind.  Raises OSError."""
    for kind in PLACES:
        for part in (b"new", b"cur"):
            place = directory(spool, kind) + b"/" + part
            with os.scandir(place) as entries:
                found = [(_age(entry), entry.path) for entry in entries]
            for _, path in sorted(found):
                yield path


def _age(entry: os.DirEntry[bytes]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return 0.0  # released or deleted just now: who opens it will see


def find(spool: bytes, name: bytes) -> Quarantined:
    """The message of that name, which has no directories in it.  Raises OSError or NotQuarantined."""
    if name and b"/" not in name and not name.startswith(b"."):
        for kind in PLACES:
            for part in (b"new", b"cur"):
                path = b"/".join((directory(spool, kind), part, name))
                if os.path.lexists(path):
                    return Quarantined(path)
    raise NotQuarantined(f"{os.fsdecode(safe.text(name))}: not in quarantine")
