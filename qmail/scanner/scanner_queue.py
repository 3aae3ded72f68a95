"""Scan a message for viruses and spam, then put it into the queue.  qmail-scanner-queue(8).

Stands in for qmail-queue: set QMAILQUEUE to it.  Reads the message on descriptor 0, then the envelope on descriptor 1,
asks its rules and the engines of control/scanner, and hands clean mail to the next queue program: QSQUEUE, or the
setting qmail-queue-binary, or qmail-queue.

Exits as that does.  A refusal is exit 82 with its text on descriptor 6, or 31 (for good) and 71 where nobody reads it.

The options are for the administrator; with one of them no message is read."""

from __future__ import annotations

import fcntl
import os
import stat

from qmail.core import envelope, instance, qqtable
from qmail.scanner import scanning, settings
from ucspi.core import streams
from ucspi.core.command import Call, Flag, Program
from ucspi.core.failure import Failure

PROGRAM = Program(
    "qmail-scanner-queue",
    __doc__,
    options=(
        Flag("z", "Remove what interrupted runs have left, and ask the engines for their versions."),
        Flag("g", "Check the rules in quarantine-events.txt."),
        Flag("r", "Print the rules."),
        Flag("v", "Print the version."),
        Flag("h", "Print a short help."),
    ),
    usage="qmail-scanner-queue [ -zgrvh ]",
    submission=scanning.start,
)
UNREADABLE, REFUSED, DEFERRED, UNKNOWN = 54, 31, 71, 111


def scanner_queue(call: Call) -> int:
    """The program."""
    if call.options:
        from qmail.scanner import upkeep  # never for a message

        return upkeep.run(call, [letter for letter, _ in call.options])
    home = instance.of(call.env)
    mail = scanning.start(call, home)
    try:
        for block in streams.blocks(0):
            mail.write(block)
        sender, recipients = _envelope()
    except envelope.BadEnvelope as error:
        mail.abandon()
        return error.code
    except OSError:
        mail.abandon()
        return UNREADABLE
    return _end(home, mail.close(sender, recipients))


def _envelope() -> tuple[bytes, list[bytes]]:
    """Read descriptor 1.  Raises BadEnvelope or OSError."""
    reader, records = envelope.Reader(), []
    for block in streams.blocks(1):
        records.append(reader.feed(block))
        if reader.done:
            sender, *recipients = b"".join(records).split(b"\0")[:-1]
            return sender[1:], [recipient[1:] for recipient in recipients]
    raise OSError("envelope ends early")


def _end(home: instance.Instance, result: bytes) -> int:
    """The exit code for a result, and its text for a caller that reads one."""
    code = qqtable.code(result)
    if code is not None:
        return code
    if _explain(home, result):
        return qqtable.OWN_TEXT
    return REFUSED if result.startswith(b"D") else DEFERRED


def _explain(home: instance.Instance, result: bytes) -> bool:
    """Tell the caller, if its program is one that listens: others would take exit 82 for a temporary error."""
    try:
        fd = int(settings.load(home).text("error-fd"))
        if not stat.S_ISFIFO(os.fstat(fd).st_mode) or fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            return False
        streams.write_all(fd, result[:255])
    except (Failure, OSError, ValueError, OverflowError):
        return False  # a setting of "no", or a descriptor that is not there
    return True


main = PROGRAM.entry(scanner_queue)
