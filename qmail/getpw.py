"""Say which account of the password file controls a local part.  qmail-getpw(8).

Prints user, uid, gid, home, dash and ext, each followed by a NUL byte, and exits 0.  qmail-lspawn runs it for addresses
that users/cdb does not know.  Exits 100 without an argument; 115 when a home directory cannot be looked at for now, 116
when there is no account alias, 118 when the password file cannot be asked."""

from __future__ import annotations

import pwd

from qmail.core import users
from ucspi.core import streams
from ucspi.core.command import Call, Program

PROGRAM = Program("qmail-getpw", __doc__, operands="LOCAL")


def getpw(call: Call) -> int:
    """The program."""
    if not call.operands:
        return 100
    try:
        user = users.account(call.operands[0], pwd.getpwnam)
    except users.Lookup as e:
        return e.code
    streams.write_all(1, user.pack())
    return 0


main = PROGRAM.entry(getpw)
