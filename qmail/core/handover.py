"""A dialogue of the SMTP client core, led on a connected descriptor.  qmail-remote(8), qmail-lmtp(1)."""

from __future__ import annotations

import os
import time

from qmail.protocol.smtp_body import BodyEncoder
from ucspi.core import streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from qmail.protocol.smtp_client import Dialogue

    class Message(Protocol):
        """What is handed over.  `may_be_completed`: a newline may be put behind a last line that has none."""

        @property
        def may_be_completed(self) -> bool: ...

        def read(self) -> bytes:
            """The next block; b"" at the end.  Raises OSError."""


PARTIAL = b"DSMTP cannot transfer messages with partial final lines. (#5.6.2)\n"
UNREADABLE = b"ZUnable to read message. (#4.3.0)\n"


def converse(dialogue: Dialogue, fd: int, timeout: float, message: Message) -> None:
    """Lead the dialogue on a connected descriptor to its end.

    A reply must be complete in `timeout` seconds: a host that sends it byte by byte gains nothing."""
    heard, deadline = -1, 0.0
    try:
        while not dialogue.finished:
            if dialogue.replies != heard:
                heard, deadline = dialogue.replies, time.monotonic() + timeout
            for output in dialogue.receive(streams.read_within(fd, 4096, max(0.0, deadline - time.monotonic()))):
                if not isinstance(output, bytes):
                    _send_message(dialogue, fd, timeout, message)
                elif dialogue.finished:
                    os.write(fd, output)  # QUIT: goes out at once or not at all
                else:
                    streams.write_within(fd, output, timeout)
    except OSError:
        dialogue.lost()


def _send_message(dialogue: Dialogue, fd: int, timeout: float, message: Message) -> None:
    """The message and its final dot.  One block is held back, so that the dot rides with the last."""
    encoder = BodyEncoder()
    wire = b""
    while True:
        try:
            block = message.read()
        except OSError:
            dialogue.give_up(UNREADABLE)
            return
        if not block:
            break
        streams.write_within(fd, wire, timeout)
        wire = encoder.encode(block)
    if encoder.partial and not message.may_be_completed:
        dialogue.give_up(PARTIAL)
        return
    if encoder.partial:
        wire += encoder.encode(b"\n")
    dialogue.dot_sent()
    streams.write_within(fd, wire + encoder.finish(), timeout)
