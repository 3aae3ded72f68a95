"""Check a password, then become the program that serves its owner.  checkpassword(8).

Reads login, password and a time stamp, each ended by a NUL, on descriptor 3, at most 512 bytes.  If they are good,
takes the account's group, user, home directory and environment, and runs the program.  Never prints anything.

Logins are the system's, or those in users/passwd of a single-user instance (QMAILHOME).

Exits 1 if refused, 2 if misused, 111 if that cannot be known at present."""

from __future__ import annotations

import os

from qmail.core import instance, passwords
from ucspi.core import streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 512  # bytes on descriptor 3
REFUSED, MISUSED, TEMPORARY = 1, 2, 111
PROGRAM = Program("checkpassword", __doc__, operands="PROGRAM [ARG ...]", preload=(passwords.LIBCRYPT,))


def accounts(env: Mapping[bytes, bytes]) -> passwords.SystemAccounts | passwords.InstanceAccounts:
    """Where the logins are: with the system, unless the environment names a single-user instance.
    Raises OSError, TemporaryFailure."""
    here = instance.of(env)
    try:
        single = here.single
    except (FileNotFoundError, NotADirectoryError):
        single = False  # no mail system here at all: checkpassword serves others too
    if not single:
        return passwords.SystemAccounts()
    return passwords.InstanceAccounts(here.home, here.owner, here.gid("nofiles"))


def become(account: passwords.Account) -> None:
    """Drop to the account's group and user.  Raises OSError."""
    os.setgroups([account.gid])
    os.setgid(account.gid)
    os.setuid(account.uid)


def checkpassword(call: Call) -> int:
    """The program."""
    if not call.operands:
        return MISUSED
    try:
        data = streams.read_all(3, LIMIT + 1)
        os.close(3)
        if len(data) > LIMIT:
            return REFUSED
        login, *rest = data.split(b"\0")
        if len(rest) < 2:
            return MISUSED
        known = accounts(call.env)
        account = passwords.admit(known, login, rest[0])
        if account is None:
            return REFUSED
        # A single-user instance runs as its user already, who could not call setgroups.
        if isinstance(known, passwords.SystemAccounts) or os.getuid() != account.uid:
            try:
                become(account)
            except OSError:
                return REFUSED
        os.chdir(account.home)
        call.env.update({b"USER": account.name, b"HOME": account.home, b"SHELL": account.shell})
        call.execute(call.operands)
    except (OSError, MemoryError, TemporaryFailure):
        return TEMPORARY


main = PROGRAM.entry(checkpassword)
