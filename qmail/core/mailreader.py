"""Mail readers that know only mbox files, on a maildir: elq(1), pinq(1), qail(1)."""

from __future__ import annotations

import os

from qmail.core import child, instance
from qmail.core.programs import locate
from ucspi.core import errtext
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ucspi.core.command import Call


def read_mail(call: Call, reader: bytes) -> int:
    """Run maildir2mbox and, if that went well, become the mail reader; else return its exit code."""
    program = locate(call, instance.of(call.env), b"maildir2mbox")
    code = _run(call, program)
    if code:
        return code
    try:
        call.execute([reader, *call.operands])
    except OSError as e:
        raise TemporaryFailure(f"unable to run {os.fsdecode(reader)}: {errtext.text(e)}") from e


def _run(call: Call, program: bytes) -> int:
    try:
        return child.finish(child.start(call, [program]))
    except OSError as e:
        raise TemporaryFailure(f"unable to run {os.fsdecode(program)}: {errtext.text(e)}") from e
