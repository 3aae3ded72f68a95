"""Remove files from the queue for qmail-send, which may not.  qmail-clean(8).

Reads commands on descriptor 0, each ended by 0x00, and answers each with one byte on descriptor 1:

    foop/N   intd/N and the message      + done     ! could not be removed     x no such command
    todo/N   intd/N and todo/N

Exits 0 at end of file, 100 when nobody reads the answers, 111 without a queue."""

from __future__ import annotations

import os
import time

from qmail.core import instance, queuefiles
from qmail.core.queuedir import Queue
from ucspi.core import scan, streams
from ucspi.core.command import Call, Program

PROGRAM = Program("qmail-clean", __doc__, title=True)

SHORTEST, LONGEST = 6, 99  # bytes in a command, without its 0x00
BETWEEN_PIDS = 31  # commands between two looks into pid/
BETWEEN_WALKS = 76431  # seconds between two looks into intd/; as qmail-send's walks through mess/


def qmail_clean(call: Call) -> int:
    """Answer commands until there are no more."""
    queue = Queue(instance.of(call.env).queue)
    if not os.path.isdir(queue.path):
        return 111
    next_walk = _tidy(queue, 0)
    patience, rest = BETWEEN_PIDS, b""
    while block := _read():
        *commands, rest = (rest + block).split(b"\0")
        rest = rest[: LONGEST + 1]  # longer is wrong however it goes on: no need to keep it
        answers = b""
        for command in commands:
            if patience == 0:
                next_walk = _tidy(queue, next_walk)
                patience = BETWEEN_PIDS
            patience -= 1
            answers += answer(queue, command)
        try:
            streams.write_all(1, answers)
        except OSError:
            return 100
    return 0


def _tidy(queue: Queue, next_walk: int) -> int:
    """Look into pid/, and now and then into intd/, which may be large; returns when that is due again."""
    now = int(time.time())
    queuefiles.remove_old_pids(queue, now)
    if now < next_walk <= now + BETWEEN_WALKS:  # else the clock has been set back
        return next_walk
    queuefiles.remove_old_envelopes(queue, now)
    return now + BETWEEN_WALKS


def answer(queue: Queue, command: bytes) -> bytes:
    """Obey one command; return the byte that says how it went."""
    action, _, number = command.partition(b"/")
    remove = {b"foop": queuefiles.remove_message, b"todo": queuefiles.remove_todo}.get(action)
    if remove is None or not SHORTEST <= len(command) <= LONGEST or not scan.is_number(number):
        # One x, and nothing done: the original answers once per byte that is no digit, and then obeys all the same.
        return b"x"
    try:
        remove(queue, scan.number(number))
    except OSError:
        return b"!"
    return b"+"


def _read() -> bytes:
    try:
        return streams.read_some(0)
    except OSError:
        return b""


main = PROGRAM.entry(qmail_clean)
