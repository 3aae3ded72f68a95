"""Make a maildir: a directory with tmp, new and cur in it.  maildirmake(1).

All four are mode 0700.  Exits 0; 100 without a name, 111 when a directory cannot be made."""

from __future__ import annotations

import os

from ucspi.core import errtext
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure

PROGRAM = Program("maildirmake", __doc__, usage="maildirmake name", operands="NAME")


def maildirmake(call: Call) -> int:
    """The program."""
    if not call.operands:
        raise UsageFailure
    name = call.operands[0]
    os.umask(0o077)  # 0700, whatever the umask is: one of 0777 would leave nothing
    for part in (b"", b"/tmp", b"/new", b"/cur"):
        try:
            os.mkdir(name + part, 0o700)
        except OSError as e:
            raise TemporaryFailure(f"unable to mkdir {os.fsdecode(name + part)}: {errtext.text(e)}") from e
    return 0


main = PROGRAM.entry(maildirmake)
