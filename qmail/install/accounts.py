"""The users and groups of a mail host, and how to make them.  INSTALL.md; notqmail's INSTALL.ids.

qmail     qmailq qmailr qmails            the queue
nofiles   alias qmaild qmaill qmailp      nothing at all belongs to this group"""

from __future__ import annotations

import grp
import os
import pwd
import shlex

from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

GROUPS = ("qmail", "nofiles")
# name, group, home below QMAILHOME
USERS = (
    ("alias", "nofiles", "/alias"),
    ("qmaild", "nofiles", ""),
    ("qmaill", "nofiles", ""),
    ("qmailp", "nofiles", ""),
    ("qmailq", "qmail", ""),
    ("qmailr", "qmail", ""),
    ("qmails", "qmail", ""),
)
SHELLS = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false")


class Missing(TemporaryFailure):
    """Accounts that the system lacks; str() names them and says what to do."""


class Ids:
    """uids and gids, by name."""

    def __init__(self, home: str) -> None:
        """Raises Missing."""
        lacking = [command[-1] for command in commands(home)]
        if lacking:
            raise Missing(f"these users and groups are missing: {' '.join(lacking)}; `make users` makes them")
        self.uids = {name: pwd.getpwnam(name).pw_uid for name, _, _ in USERS} | {"root": 0}
        self.gids = {name: grp.getgrnam(name).gr_gid for name in GROUPS} | {"root": 0}


def commands(home: str) -> Iterator[list[str]]:
    """The commands that make what is missing, in order."""
    shell = next((shell for shell in SHELLS if os.path.exists(shell)), SHELLS[-1])
    groups = {entry.gr_name for entry in grp.getgrall()}
    users = {entry.pw_name for entry in pwd.getpwall()}
    for name in GROUPS:
        if name not in groups and not _found(grp.getgrnam, name):
            yield ["groupadd", "--system", name]
    for name, group, below in USERS:
        if name not in users and not _found(pwd.getpwnam, name):
            words = ["useradd", "--system", "--no-create-home", "--gid", group]
            yield [*words, "--home-dir", home + below, "--shell", shell, name]


def misfits() -> Iterator[str]:
    """What is wrong with accounts that are there."""
    gids = {name: grp.getgrnam(name).gr_gid for name in GROUPS if _found(grp.getgrnam, name)}
    uids: dict[int, str] = {}
    for name, group, _ in USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if group in gids and entry.pw_gid != gids[group]:
            yield f"user {name}: has wrong group: {entry.pw_gid}, not {group}"
        if entry.pw_uid == 0:
            yield f"user {name}: is root"
        if entry.pw_uid in uids:
            yield f"user {name}: has the uid of {uids[entry.pw_uid]}: what one may do the other may"
        uids[entry.pw_uid] = name


def make(home: str) -> list[str]:
    """Make what is missing; returns the commands that were run.  Raises TemporaryFailure, OSError."""
    import subprocess

    done = []
    for command in list(commands(home)):
        line = shlex.join(command)
        try:
            status = subprocess.run(command, stdin=subprocess.DEVNULL).returncode
        except FileNotFoundError:
            raise TemporaryFailure(
                f"this system has no {command[0]}; do in its own way what this would: {line}"
            ) from None
        if status:
            raise TemporaryFailure(f"failed: {line}")
        done.append(line)
    return done


def _found(look: object, name: str) -> bool:
    """NSS may know a name that it does not list."""
    try:
        look(name)  # type: ignore[operator]
    except KeyError:
        return False
    return True
