"""Send mail with a subject, for scripts.  mailsubj(1).

    mailsubj subject recipient ...

The body is descriptor 0.  Exits as qmail-inject does, 100 without a subject, 111 if the body cannot be read."""

from __future__ import annotations

import os

from qmail.core import child, instance
from qmail.core.programs import locate
from ucspi.core import errtext, streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Program(
    "mailsubj",
    __doc__,
    usage="mailsubj subject recipient ...",
    operands="SUBJECT RECIPIENT...",
    preload=("qmail.inject",),
)


def mailsubj(call: Call) -> int:
    """The program."""
    if not call.operands:
        raise UsageFailure
    subject, *recipients = call.operands
    program = locate(call, instance.of(call.env), b"qmail-inject")
    try:
        inject = child.Fed(call, [program])
    except OSError as e:
        raise TemporaryFailure(f"unable to run {os.fsdecode(program)}: {errtext.text(e)}") from e
    # Blanks between recipients: qmail-inject supplies the commas.
    header = b"Subject: %b\nTo: %b\n\n" % (subject, b" ".join(recipients))
    try:
        inject.write([header])
        for block in _body():
            inject.write([block])
    except TemporaryFailure:
        inject.kill()
        raise
    except OSError:
        pass  # qmail-inject has given up, and its exit code says why
    return inject.finish()


def _body() -> Iterator[bytes]:
    try:
        yield from streams.blocks(0)
    except OSError as e:
        raise TemporaryFailure(f"unable to read message: {errtext.text(e)}") from e


main = PROGRAM.entry(mailsubj)
