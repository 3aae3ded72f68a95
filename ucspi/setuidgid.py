"""Run a program as an account: its uid, its group, and no other group.  setuidgid(8).

HOME, USER and the directory stay as they are.  Exits 100 on bad usage, 111 if the account is unknown, the ids cannot be
set or the program cannot be run."""

from __future__ import annotations

import os
import pwd

from ucspi.core import errtext, following
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure

PROGRAM = Program("setuidgid", __doc__, usage="setuidgid account child", operands="ACCOUNT PROGRAM [ARGS]...")


def setuidgid(call: Call) -> int:
    """Take on the account's ids and become the program."""
    if len(call.operands) < 2:
        raise UsageFailure("")
    name = os.fsdecode(call.operands[0])
    try:
        account = pwd.getpwnam(name)
    except (KeyError, ValueError) as e:
        raise TemporaryFailure(f"unknown account {name}") from e
    try:
        os.setgroups([account.pw_gid])
        os.setgid(account.pw_gid)
    except OSError as e:
        raise TemporaryFailure(f"unable to setgid: {errtext.text(e)}") from e
    try:
        os.setuid(account.pw_uid)  # last: nothing of the above is allowed afterwards
    except OSError as e:
        raise TemporaryFailure(f"unable to setuid: {errtext.text(e)}") from e
    following.run(call, call.operands[1:])


main = PROGRAM.entry(setuidgid)
