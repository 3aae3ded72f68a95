"""Megabytes per second of CPU time through the protocol cores, and the memory that a large message takes in them."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from bench.table import Table
from qmail.protocol import pop3_server, qmtp_server, smtp_server
from qmail.protocol.incoming import Open
from qmail.protocol.smtp_lines import NORMALIZE

MB = 1_000_000
MESSAGE = 50 * MB
TARGET = 200  # MB/s
BLOCK = 65536
LINE = b"Some seventy bytes of ordinary text, as mail has them in its lines ..\n"
WIRE = LINE.replace(b"\n", b"\r\n") * (BLOCK // len(LINE) - 20) + b"..a line with a dot\r\n"
START = b"MAIL FROM:<a@b>\r\nRCPT TO:<x@y>\r\nDATA\r\nSubject: x\r\n\r\n"


def throughput(_directory: Path) -> Table:
    """A message of 50 MB, in the blocks in which the programs read it."""
    table = Table(f"A message of {MESSAGE // MB} MB through the protocol cores, 64 KiB at a time", "MB/s of CPU")
    table.add("wanted", TARGET)
    for what, work in WORK.items():
        seconds = []
        for _ in range(3):
            began = time.process_time()
            work(MESSAGE)
            seconds.append(time.process_time() - began)
        small, large = _memory(work, MB), _memory(work, 10 * MB)
        table.add(what, MESSAGE / MB / min(seconds), f"memory for 1 MB: {small // 1024} KiB, for 10: {large // 1024}")
    return table


def _memory(work: Callable[[int], None], size: int) -> int:
    tracemalloc.start()
    work(size)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def smtp(size: int, barelf: bytes = b"reject") -> None:
    """DATA."""
    session = smtp_server.Session(smtp_server.Settings(b"here", barelf=barelf))
    for block in (START, *(WIRE,) * (size // len(WIRE)), b"\r\n.\r\n"):
        for event in session.receive(block):
            if isinstance(event, Open):
                event.answer = True


def normalized(size: int) -> None:
    """DATA from a client whose bare newlines are borne with."""
    smtp(size, NORMALIZE)


def pop3(size: int) -> None:
    """RETR."""
    message, block = pop3_server.Transfer(None), WIRE.replace(b"\r\n", b"\n")
    for _ in range(size // len(block)):
        message.feed(block)
    message.finish()


def qmtp(size: int) -> None:
    """One package."""
    session = qmtp_server.Session()
    count = size // len(WIRE)
    for block in (b"%d:\r" % (count * len(WIRE) + 1), *(WIRE,) * count, b","):
        for event in session.receive(block):
            if isinstance(event, Open):
                event.answer = True


WORK = {
    "SMTP DATA": smtp,
    "SMTP DATA, BARELF=normalize": normalized,
    "QMTP": qmtp,
    "POP3 RETR": pop3,
}
