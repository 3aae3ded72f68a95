"""What root does in the spool, it does as the spool's owner.

The spool belongs to who runs qmail-smtpd.  Who has got hold of that account can put a symbolic link in the place of
anything in the spool, and root, following it, would write, give away or remove whatever it leads to."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class Owner:
    """`with Owner(uid, gid):` root is that user inside; nobody else changes."""

    __slots__ = ("_gid", "_groups", "_uid")

    def __init__(self, uid: int, gid: int) -> None:
        self._uid = uid
        self._gid = gid
        self._groups: list[int] | None = None

    def __enter__(self) -> None:
        if self._uid and os.geteuid() == 0:
            self._groups = os.getgroups()
            os.setgroups([self._gid])
            os.setegid(self._gid)
            os.seteuid(self._uid)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._groups is not None:
            os.seteuid(0)
            os.setegid(os.getgid())
            os.setgroups(self._groups)
            self._groups = None


def of(spool: bytes) -> Owner:
    """Whoever owns it; root where there is none.  For root alone: to others it makes no difference."""
    if os.geteuid() != 0:
        return Owner(0, 0)
    try:
        about = os.lstat(spool)
    except OSError:
        return Owner(0, 0)
    return Owner(about.st_uid, about.st_gid)


def hand_over(spool: bytes, uid: int, gid: int) -> None:
    """Give a spool to another user, with what is in it.  Follows no link of its present owner; raises OSError."""
    for _, _, files, directory in os.fwalk(spool, follow_symlinks=False):
        os.fchown(directory, uid, gid)
        for name in files:
            try:
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
            except OSError:
                continue  # a link, or gone
            try:
                about = os.fstat(fd)
                if stat.S_ISREG(about.st_mode) and about.st_nlink == 1:  # of more names, one may be somewhere else
                    os.fchown(fd, uid, gid)
            finally:
                os.close(fd)
