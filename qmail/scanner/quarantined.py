"""The quarantine: maildirs in the spool, one for each kind of finding.  quarantine(8).

    quarantine/viruses, quarantine/policy, quarantine/spam      each with tmp, new, cur

A file is the message as it was received, below three lines of ours:
    X-Qmail-Scanner-Quarantine: KIND SCANNER NAME
    X-Qmail-Scanner-Mail-From: SENDER
    X-Qmail-Scanner-Rcpt-To: RECIPIENT,RECIPIENT ...
in which %XX stands for each byte of an address that could be anything else, so that the envelope is known exactly."""

from __future__ import annotations

import os

from qmail.core.queuedir import sync_directory
from qmail.scanner import safe
from ucspi.core import streams
from ucspi.core.failure import PermanentFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qmail.scanner.decision import Finding

PLACES = {"virus": b"viruses", "policy": b"policy", "spam": b"spam"}  # by kind of finding
MAILDIR = (b"tmp", b"new", b"cur")
_PREFIXES = (b"X-Qmail-Scanner-Quarantine: ", b"X-Qmail-Scanner-Mail-From: ", b"X-Qmail-Scanner-Rcpt-To: ")
LONGEST = 8 << 20  # bytes of the three lines
_PLAIN = frozenset(range(33, 127)) - set(b"%,")


class NotQuarantined(PermanentFailure):
    """There is no such message, or it is none of ours."""


def directory(spool: bytes, kind: str) -> bytes:
    """The maildir for a kind of finding."""
    return b"/".join((spool, b"quarantine", PLACES[kind]))


def keep(
    spool: bytes, name: bytes, finding: Finding, sender: bytes, recipients: Sequence[bytes], blocks: Iterable[bytes]
) -> bytes:
    """Put a message into quarantine, where it lasts on return.  Returns its path; raises OSError, and left nothing.

    As in every maildir: the bytes before the name in new, and that before anybody is told."""
    place = directory(spool, finding.kind)
    tmp, new = (b"/".join((place, part, name)) for part in (b"tmp", b"new"))
    fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            streams.write_all(fd, _head(finding, sender, recipients))
            for block in blocks:
                streams.write_all(fd, block)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.link(tmp, new)
        sync_directory(os.path.dirname(new))
    finally:
        os.unlink(tmp)
    return new


def _head(finding: Finding, sender: bytes, recipients: Sequence[bytes]) -> bytes:
    values = (
        b" ".join((finding.kind.encode(), safe.word(finding.scanner), safe.text(finding.name))),
        escaped(sender),
        b",".join([escaped(recipient) for recipient in recipients]),
    )
    return b"".join([prefix + value + b"\n" for prefix, value in zip(_PREFIXES, values, strict=True)])


def escaped(address: bytes) -> bytes:
    """An address of any bytes as one word without comma."""
    return b"".join([bytes((byte,)) if byte in _PLAIN else b"%%%02X" % byte for byte in address])


def unescaped(word: bytes) -> bytes:
    """The address that a word stands for.  Raises ValueError."""
    first, *rest = word.split(b"%")
    return first + b"".join([bytes((int(piece[:2], 16),)) + piece[2:] for piece in rest])


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
            self.sender = unescaped(sender)
            self.recipients = [unescaped(word) for word in recipients.split(b",")] if recipients else []
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
                found = [(entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in entries]
            for _, path in sorted(found):
                yield path


def find(spool: bytes, name: bytes) -> Quarantined:
    """The message of that name, which has no directories in it.  Raises OSError or NotQuarantined."""
    if name and b"/" not in name and not name.startswith(b"."):
        for kind in PLACES:
            for part in (b"new", b"cur"):
                path = b"/".join((directory(spool, kind), part, name))
                if os.path.lexists(path):
                    return Quarantined(path)
    raise NotQuarantined(f"{os.fsdecode(safe.text(name))}: not in quarantine")
