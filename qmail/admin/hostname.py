"""Print the name of this machine, as the kernel knows it.  hostname(1).

With words after it this is a call of the system's own hostname(1), the next of that name in PATH, and becomes it."""

from __future__ import annotations

import os

from ucspi.core import chain, following, streams
from ucspi.core.command import Call, Program

OWN = "qmail.admin.hostname"
PROGRAM = Program("hostname", __doc__, operands="[WORD]...")


def hostname(call: Call) -> int:
    """The program."""
    if call.operands:
        following.run_as(call, _other(call), call.argv)
    streams.write_all(1, os.fsencode(os.uname().nodename) + b"\n")
    return 0


def _other(call: Call) -> bytes:
    """The first hostname in PATH that is not this one; the name as it is if there is none."""
    for directory in (call.path or chain.DEFAULT_PATH).split(b":"):
        file = directory + b"/hostname"
        if directory.startswith(b"/") and os.access(file, os.X_OK) and chain.module_of(file) != OWN:
            return file
    return b"/bin/hostname"


main = PROGRAM.entry(hostname)
