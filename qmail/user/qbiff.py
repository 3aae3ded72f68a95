"""Announce a message on the terminals of its recipient, from a .qmail file.  qbiff(1).

Two lines go to every terminal where USER is logged in and has said `biff y` (its owner may execute it).  LOCAL and
SENDER are in the first; the second is the beginning of subject and body.  Always exits 0: mail does not wait for it."""

from __future__ import annotations

import os

from qmail.core import utmp
from qmail.protocol.header822 import HeaderReader, field_name
from ucspi.core import streams
from ucspi.core.command import Call, Program

PROGRAM = Program("qbiff", __doc__)

DEV = b"/dev"
WIDTH = 78  # of the second line, which starts with four blanks
# What a stranger wrote must not steer the terminal.
FIRST_LINE = bytes(byte if 32 <= byte <= 126 else ord("_") for byte in range(256))
SECOND_LINE = bytes(byte if 32 <= byte <= 126 else ord("/") for byte in range(256))


def qbiff(call: Call) -> int:
    """The program."""
    try:
        user, sender, local = (call.env[name] for name in (b"USER", b"SENDER", b"LOCAL"))
        text = announcement(local, sender, excerpt(WIDTH, b"    "))
        with open(utmp.PATH, "rb") as file:
            logins = file.read()
    except (KeyError, OSError):
        return 0
    for terminal in utmp.terminals(logins, user):
        if terminal and not terminal.startswith(b"/") and b"." not in terminal:
            _write(DEV + b"/" + terminal, text)
    return 0


def announcement(local: bytes, sender: bytes, text: bytes) -> bytes:
    """What is written to a terminal."""
    first = (b"*** TO <%b> FROM <%b>" % (local, sender)).translate(FIRST_LINE)
    return b"\r\n\a%b\r\n%b\r\n" % (first, text.translate(SECOND_LINE))


def excerpt(width: int, text: bytes) -> bytes:
    """`text`, the subject and the body of the message on descriptor 0, up to `width` bytes.  Raises OSError."""
    reader = HeaderReader()
    for block in streams.blocks(0):
        text += b"".join([subject(field) for field in reader.receive(block)])
        if reader.body is not None:
            break
    text += b"".join([subject(field) for field in reader.finish()])
    body = reader.body or b""
    while body and len(text) < width:
        text += body
        body = streams.read_some(0)
    return text[:width]


def subject(field: bytes) -> bytes:
    """A Subject field's value with its newline; nothing of any other field."""
    return field.partition(b":")[2].lstrip(b" \t\r\n") if field_name(field) == b"subject" else b""


def _write(terminal: bytes, text: bytes) -> None:
    try:
        # Not waiting for a terminal that is stopped, and never making it ours.
        fd = os.open(terminal, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        about = os.fstat(fd)
        if about.st_mode & 0o100 and about.st_uid == os.getuid():
            os.write(fd, text)
    except OSError:
        pass
    finally:
        os.close(fd)


main = PROGRAM.entry(qbiff)
