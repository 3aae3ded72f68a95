"""One installation of the mail system: where it lives, and which account each of its parts runs as.

QMAILHOME names it (default conf.HOME: /var/qmail).  There are two kinds, told apart by who owns the `queue` directory:

    qmailq      the classic one.  Started by root, it splits into qmails, qmailr, qmailq ...; see DESIGN section 6.
    anyone else a single-user instance: every part runs as that one user, and delivers only to that user's addresses."""

from __future__ import annotations

import grp
import os
import pwd

from qmail.core import conf
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class UnknownAccount(TemporaryFailure):
    """A user or group that the system lacks: `unable to find user NAME`."""


class Instance:
    """Paths and accounts of one installation.  Raises nothing at creation; `owner` and what needs it raise OSError."""

    def __init__(self, home: bytes) -> None:
        self.home = home
        self.control = home + b"/control"
        self.queue = home + b"/queue"
        self._owner: int | None = None
        self._uids: dict[str, int] = {}

    def path(self, *parts: bytes) -> bytes:
        """The absolute path of something below home: path(b"control", b"me")."""
        return b"/".join((self.home, *parts))

    @property
    def owner(self) -> int:
        """uid of the queue's owner: qmailq's, or the single user's."""
        if self._owner is None:
            self._owner = os.stat(self.queue).st_uid
        return self._owner

    @property
    def single(self) -> bool:
        """True for a single-user instance."""
        return not _is_qmailq(self.owner)

    def uid(self, name: str) -> int:
        """uid of one of the classic accounts (alias, qmaild, qmaill, qmailp, qmailq, qmailr, qmails)."""
        if self.single:
            return self.owner
        if name not in self._uids:
            self._uids[name] = uid_of(name)
        return self._uids[name]

    def gid(self, name: str) -> int:
        """gid of one of the classic groups (qmail, nofiles); in a single-user instance the queue's group."""
        if self.single:
            return os.stat(self.queue).st_gid
        return gid_of(name)


def uid_of(name: str) -> int:
    """uid of an account.  Raises UnknownAccount."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise UnknownAccount(f"unable to find user {name}") from None


def gid_of(name: str) -> int:
    """gid of a group.  Raises UnknownAccount."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise UnknownAccount(f"unable to find group {name}") from None


_names: dict[tuple[int, int], bool] = {}  # a cache: (uid, version of /etc/passwd)


def _is_qmailq(uid: int) -> bool:
    """Asked for every message.  By number, since NSS finds that in its first source; a name that does not exist, as in
    every single-user instance, it would look for in all of them."""
    key = (uid, os.stat("/etc/passwd").st_mtime_ns)
    if key not in _names:
        _names.clear()
        try:
            _names[key] = pwd.getpwuid(uid).pw_name == "qmailq"
        except KeyError:
            _names[key] = False
    return _names[key]


def of(env: Mapping[bytes, bytes]) -> Instance:
    """The instance that an environment names."""
    home = env.get(b"QMAILHOME") or conf.HOME
    return Instance(home.rstrip(b"/") or b"/")
