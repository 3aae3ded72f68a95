"""List the messages of the queue and their recipients.  qmail-qread(8).

    qmail-qread [--json]

One line for each message that qmail-send has taken in: date (GMT), number, size, sender, and whether there is a bounce
to send; below it a line for each recipient.  With --json one array of objects, and new messages too.
Exits 0; 111 if the queue cannot be read, which is said on descriptor 1."""

from __future__ import annotations

import os

from qmail.core import instance, listing
from qmail.core.queuedir import Queue
from ucspi.core import errtext, streams
from ucspi.core.command import Call, Long, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Program("qmail-qread", __doc__, options=(Long("json", "All that is known, as a JSON array."),))

FULL = 65536  # bytes gathered for one write


def qread(call: Call) -> int:
    """The program."""
    queue = Queue(instance.of(call.env).queue)
    try:
        os.stat(queue.path + b"/.")
    except OSError as e:
        return _fatal("chdir", e)
    try:
        _print(_json(queue) if call.given("json") else _text(queue))
    except listing.Unreadable as e:
        return _fatal(f"opendir {os.fsdecode(e.filename)}", e)
    return 0


def _fatal(what: str, error: OSError) -> int:
    streams.write_all(1, os.fsencode(f"fatal: unable to {what}: {errtext.text(error)}\n"))
    return 111


def _print(pieces: Iterator[bytes]) -> None:
    pending: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            pending.append(piece)
            size += len(piece)
            if size > FULL:
                streams.write_all(1, b"".join(pending))
                pending, size = [], 0
    finally:
        streams.write_all(1, b"".join(pending))


def _text(queue: Queue) -> Iterator[bytes]:
    for number in listing.numbers(queue):
        try:
            message = listing.Message(queue, number)
            yield message.headline()
            for each in message.recipients():
                each.held = False  # a word that readers of this form do not expect
                yield each.line()
        except OSError as e:
            yield b"warning: trouble with #%d: %b\n" % (number, errtext.text(e).encode())


def _json(queue: Queue) -> Iterator[bytes]:
    """An array of one line for each message, so that no more than one is ever in memory."""
    import json  # 5 ms, and only for scripts

    before = b"["
    for message in listing.messages(queue):
        try:
            yield before + b"\n" + json.dumps(message.json()).encode()
            before = b","
        except OSError:
            continue
    yield (b"[" if before == b"[" else b"\n") + b"]\n"


main = PROGRAM.entry(qread)
