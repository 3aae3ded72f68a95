"""Messages that are put into a maildir of the spool, where they last: the quarantine and the archive.

As in every maildir: the bytes before the name in new, and that before anybody is told.  Above the message stand lines
of ours with its envelope; %XX is a byte of an address that could be anything else, so that it is known exactly:

    X-Qmail-Scanner-Mail-From: SENDER
    X-Qmail-Scanner-Rcpt-To: RECIPIENT,RECIPIENT ..."""

from __future__ import annotations

import os

from qmail.core.queuedir import sync_directory
from ucspi.core import streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAILDIR = (b"tmp", b"new", b"cur")
ENVELOPE = (b"X-Qmail-Scanner-Mail-From: ", b"X-Qmail-Scanner-Rcpt-To: ")
_PLAIN = frozenset(range(33, 127)) - set(b"%,")


def keep(maildir: bytes, name: bytes, head: bytes, blocks: Iterable[bytes]) -> bytes:
    """Put `head` and a message into a maildir.  Returns its path; raises OSError, and left nothing."""
    tmp, new = (b"/".join((maildir, part, name)) for part in (b"tmp", b"new"))
    fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            streams.write_all(fd, head)
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


def envelope(sender: bytes, recipients: Sequence[bytes]) -> bytes:
    """The two lines about the envelope."""
    values = (escaped(sender), b",".join([escaped(recipient) for recipient in recipients]))
    return b"".join([prefix + value + b"\n" for prefix, value in zip(ENVELOPE, values, strict=True)])


def escaped(address: bytes) -> bytes:
    """An address of any bytes as one word without comma."""
    return b"".join([bytes((byte,)) if byte in _PLAIN else b"%%%02X" % byte for byte in address])


def unescaped(word: bytes) -> bytes:
    """The address that a word stands for.  Raises ValueError."""
    first, *rest = word.split(b"%")
    return first + b"".join([bytes((int(piece[:2], 16),)) + piece[2:] for piece in rest])
