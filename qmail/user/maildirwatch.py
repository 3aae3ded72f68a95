"""Show the new messages of a maildir on a terminal, again and again.  maildirwatch(1).

MAILDIR names the maildir.  Every 30 seconds the screen is cleared and each message of new is shown: its envelope, its
From line, the beginning of subject and body.  Exits 111 if the maildir cannot be read."""

from __future__ import annotations

import os
import time

from qmail.core import newmail
from qmail.protocol.header822 import HeaderReader, field_name
from ucspi.core import streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PROGRAM = Program("maildirwatch", __doc__)

PERIOD = 30  # seconds
CLEAR = b"\033[;H\033[;J"
WIDTH = 158  # of subject and body: two lines
QUESTIONED = bytes(byte if 32 <= byte <= 126 else ord("?") for byte in range(256))
SLASHED = bytes(byte if 32 <= byte <= 126 else ord("/") for byte in range(256))


def maildirwatch(call: Call) -> int:
    """The program.  Ends when nobody looks any more."""
    maildir = newmail.directory(call.env)
    while True:
        streams.write_all(1, screen(maildir, int(time.time())))
        time.sleep(PERIOD)


def screen(maildir: bytes, now: int) -> bytes:
    """One screen full.  Raises TemporaryFailure."""
    shown = [CLEAR]
    for _, name in newmail.messages(maildir, (b"new",), now):
        try:
            fd = os.open(maildir + b"/" + name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue  # read by now
        try:
            shown.append(show(streams.blocks(fd)))
        except OSError as e:
            raise TemporaryFailure("trouble reading new message") from e
        finally:
            os.close(fd)
    return b"".join(shown)


def show(blocks: Iterable[bytes]) -> bytes:
    """One message."""
    reader = HeaderReader()
    text = _Text()
    for block in blocks:
        if reader.body is None:
            for field in reader.receive(block):
                text.field(field)
            text.body(reader.body or b"")
        else:
            text.body(block)
        if len(text.text) >= WIDTH and reader.body is not None:
            break
    for field in reader.finish():
        text.field(field)
    return text.lines()


class _Text:
    """What is shown of one message."""

    __slots__ = ("author", "recipient", "sender", "text")

    def __init__(self) -> None:
        self.sender = self.recipient = b"?"
        self.author = self.text = b""

    def field(self, field: bytes) -> None:
        name = field_name(field)
        value = field.partition(b":")[2].lstrip(b" \t\r\n")
        if name == b"subject":
            self.text += value
        elif name == b"delivered-to":
            self.recipient = value[:-1] if value else self.recipient
        elif name == b"return-path":
            self.sender = value[:-1] if value else self.sender
        elif name == b"from":
            self.author = field[:-1]

    def body(self, data: bytes) -> None:
        if len(self.text) < WIDTH:
            self.text += data

    def lines(self) -> bytes:
        bold = b"\033[1m%b\033[0m\n" % self.author.translate(SLASHED) if self.author else b""
        sender, recipient = self.sender.translate(QUESTIONED), self.recipient.translate(QUESTIONED)
        return b"FROM %b TO <%b>\n%b%b\n\n" % (sender, recipient, bold, self.text[:WIDTH].translate(SLASHED))


main = PROGRAM.entry(maildirwatch)
