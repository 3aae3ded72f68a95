"""Count the messages of the queue.  qmail-qstat(8).

    qmail-qstat [--json]

Two lines: all messages, and those that qmail-send has not taken in yet.  Exits 0, also where the queue cannot be read:
that is said on descriptor 2, and nothing is counted there."""

from __future__ import annotations

import os
import stat

from qmail.core import instance
from qmail.core.queuedir import Queue
from ucspi.core import errtext, streams
from ucspi.core.command import Call, Long, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Program("qmail-qstat", __doc__, options=(Long("json", "As a JSON object."),))


def qstat(call: Call) -> int:
    """The program."""
    queue = Queue(instance.of(call.env).queue)
    # A queue without a single subdirectory is one that nobody can look into.
    messages = sum(1 for _ in _files(call, queue.at(b"mess")))
    todo = sum(1 for _ in _files(call, queue.at(b"todo")))
    if call.given("json"):
        text = b'{"messages": %d, "todo": %d}\n'
    else:
        text = b"messages in queue: %d\nmessages in queue but not yet preprocessed: %d\n"
    streams.write_all(1, text % (messages, todo))
    return 0


def _files(call: Call, directory: bytes) -> Iterator[bytes]:
    """Every regular file below a directory."""
    try:
        names = os.listdir(directory)
    except OSError as e:
        call.warn(b"unable to read %b: %b" % (directory, errtext.text(e).encode()))
        return
    for name in names:
        path = directory + b"/" + name
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            continue  # delivered meanwhile
        if stat.S_ISDIR(mode):
            yield from _files(call, path)
        elif stat.S_ISREG(mode):
            yield path


main = PROGRAM.entry(qstat)
