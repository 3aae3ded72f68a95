"""Run a program with an account's ids in UID and GID, for tcpserver -U.  envuidgid(8).

Exits 100 on bad usage, 111 if the account is unknown or the program cannot be run."""

from __future__ import annotations

import os
import pwd

from ucspi.core import following
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure

PROGRAM = Program("envuidgid", __doc__, usage="envuidgid account child", operands="ACCOUNT PROGRAM [ARGS]...")


def envuidgid(call: Call) -> int:
    """Set UID and GID and become the program."""
    if len(call.operands) < 2:
        raise UsageFailure("")
    name = os.fsdecode(call.operands[0])
    try:
        account = pwd.getpwnam(name)
    except (KeyError, ValueError) as e:
        raise TemporaryFailure(f"unknown account {name}") from e
    call.env[b"GID"], call.env[b"UID"] = b"%d" % account.pw_gid, b"%d" % account.pw_uid
    following.run(call, call.operands[1:])


main = PROGRAM.entry(envuidgid)
