"""Start the mail system: the logger, qmail-lspawn, qmail-rspawn, qmail-clean, qmail-queued, and become qmail-send.
qmail-start(8).

    qmail-start [defaultdelivery [logger [arg ...]]]

Run by root, each part gets the account that needs the least; in a single-user instance all are that user's.  A part
that ends closes its pipes, and the others follow when their deliveries are done.

Exits 111 if anything is missing; otherwise as qmail-send."""

from __future__ import annotations

import os

from qmail.core import instance
from ucspi.core import streams
from ucspi.core.command import Call, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = Program("qmail-start", __doc__, operands="[DEFAULTDELIVERY [LOGGER [ARG]...]]")

DEFAULT_DELIVERY = b"./Mailbox"
FIRST_FREE = 8  # qmail-send owns descriptors 0 to 6; 7 is the string that holds qmail-queued


class _Accounts:
    """The ids each part runs with; None where nothing is to be switched (single-user instance)."""

    def __init__(self, home: instance.Instance) -> None:
        self.single = home.single
        if self.single:
            return
        self.uids = {name: home.uid(name) for name in ("qmaill", "qmailq", "qmailr", "qmails")}
        self.nofiles, self.qmail = home.gid("nofiles"), home.gid("qmail")

    def become(self, user: str, *, group: str = "qmail") -> Callable[[], None]:
        """A set-up for a child: give up everything but this account."""

        def setup() -> None:
            if self.single:
                return
            gid = self.nofiles if group == "nofiles" else self.qmail
            # qmailr may be given more groups by the administrator; the other parts have exactly one.
            os.setgroups(os.getgrouplist(user, gid) if user == "qmailr" else [gid])
            os.setgid(gid)
            os.setuid(self.uids[user])

        return setup

    def make(self, directory: bytes, user: str, mode: int) -> None:
        """A directory that `user` needs and may not make, unless it is there already, as the administrator wants it.

        A single-user instance makes its own."""
        if self.single or os.path.isdir(directory):
            return
        os.mkdir(directory, 0o700)
        os.chown(directory, self.uids[user], self.qmail)
        os.chmod(directory, mode)

    def group_only(self) -> None:
        """What qmail-lspawn keeps: root, who becomes each recipient, in group qmail."""
        if not self.single:
            os.setgroups([self.qmail])
            os.setgid(self.qmail)


def qmail_start(call: Call) -> int:
    """Accounts first: nothing is started unless everything can be."""
    home = instance.of(call.env)
    try:
        accounts = _Accounts(home)
    except instance.UnknownAccount as e:
        streams.complain(b"fatal: %b\n" % os.fsencode(str(e)))
        return 111
    try:
        os.chdir("/")
        os.umask(0o77)
        for fd in range(2, FIRST_FREE):
            os.dup2(0, fd, inheritable=False)  # so that every pipe gets a number above those of qmail-send
        accounts.group_only()
        accounts.make(home.path(b"run"), "qmailq", 0o755)  # qmail-queued's socket
        if os.path.isdir(home.queue):
            accounts.make(home.queue + b"/hold", "qmails", 0o700)  # what qmail-qctl needs; a C installation lacks it
        _start(call, accounts)
    except OSError:
        return 111
    call.execute([b"qmail-send"])


def _start(call: Call, accounts: _Accounts) -> None:
    default, logger = (call.operands or [DEFAULT_DELIVERY])[0], call.operands[1:]
    log = _logger(call, accounts, logger) if logger else os.dup(1)
    to_lspawn, from_lspawn = _part(call, [b"qmail-lspawn", default], log, accounts.group_only)
    to_rspawn, from_rspawn = _part(call, [b"qmail-rspawn"], log, accounts.become("qmailr"))
    to_clean, from_clean = _part(call, [b"qmail-clean"], log, accounts.become("qmailq"))
    string = _queued(call, log, accounts.become("qmailq"))
    accounts.become("qmails")()
    mine = (log, to_lspawn, from_lspawn, to_rspawn, from_rspawn, to_clean, from_clean, string)
    for number, fd in enumerate(mine):
        os.dup2(fd, number)
    for fd in mine:
        os.close(fd)


def _logger(call: Call, accounts: _Accounts, argv: list[bytes]) -> int:
    """Start the logger; returns the descriptor that lines are written to."""
    lines, log = os.pipe()
    call.spawn(argv, fds={0: lines}, setup=accounts.become("qmaill", group="nofiles"))
    os.close(lines)
    return log


def _part(call: Call, argv: list[bytes], log: int, setup: Callable[[], None]) -> tuple[int, int]:
    """Start one part; returns the descriptors for commands to it and for reports from it.

    Its descriptor 2 is the log: the originals have none, but what goes wrong in an interpreter must be heard."""
    commands, to_part = os.pipe()
    from_part, reports = os.pipe()
    call.spawn(argv, fds={0: commands, 1: reports, 2: log}, setup=setup)
    os.close(commands)
    os.close(reports)
    return to_part, from_part


def _queued(call: Call, log: int, setup: Callable[[], None]) -> int:
    """Start qmail-queued, which ends when its descriptor 0 does: with us, however we end."""
    held, string = os.pipe()
    call.spawn([b"qmail-queued"], fds={0: held, 1: log, 2: log}, setup=setup)
    os.close(held)
    return string


main = PROGRAM.entry(qmail_start)
