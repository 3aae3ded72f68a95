"""The queue's directories and fixed files: owner, group, mode of each.  qmail-queue.md section 2.1.

pid intd todo mess/0..22 lock                qmailq: written by qmail-queue, removed by qmail-clean
info/0..22 local/0..22 remote/0..22 bounce   qmails: qmail-send's own
hold                                         qmails: what is held back, and the socket of qmail-qctl; ours alone
lock/sendmutex lock/tcpto lock/trigger       one running qmail-send; time-outs of remote hosts; "there is new mail" """

from __future__ import annotations

import fcntl
import os
import struct

from qmail.core.instance import Instance

SPLIT = 23
TCPTO_SIZE = 1024
# FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_TOPDIR_FL; ioctl_iflags(2).  The numbers hold a long's size.
GET_FLAGS = 2 << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | 1
SET_FLAGS = 1 << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | 2
TOP_DIRECTORY = 0x20000

# name, account, mode, whether split
DIRECTORIES = (
    (b"", "qmailq", 0o750, False),
    (b"pid", "qmailq", 0o700, False),
    (b"intd", "qmailq", 0o700, False),
    (b"todo", "qmailq", 0o750, False),
    (b"mess", "qmailq", 0o750, True),
    (b"info", "qmails", 0o700, True),
    (b"local", "qmails", 0o700, True),
    (b"remote", "qmails", 0o700, True),
    (b"bounce", "qmails", 0o700, False),
    (b"hold", "qmails", 0o700, False),
    (b"lock", "qmailq", 0o750, False),
)
FILES = (
    (b"lock/sendmutex", "qmails", 0o600),
    (b"lock/tcpto", "qmailr", 0o644),
    (b"lock/trigger", "qmails", 0o622),
)


def create(home: Instance, uids: dict[str, int] | None = None, gid: int = -1) -> None:
    """Make what is missing; leave what is there as it is.  Without `uids` everything stays the caller's own.

    Raises OSError."""
    for name, account, mode, split in DIRECTORIES:
        directory = home.queue + (b"/" + name if name else b"")
        for path in [directory, *([directory + b"/%d" % i for i in range(SPLIT)] if split else [])]:
            if not os.path.isdir(path):
                os.mkdir(path, 0o700)
                if path == directory and (split or not name):
                    spread(path)
                _own(path, mode, uids[account] if uids else -1, gid)
    for name, account, mode in FILES:
        path = home.queue + b"/" + name
        if not os.path.lexists(path):
            if name == b"lock/trigger":
                os.mkfifo(path, 0o600)
            else:
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                if name == b"lock/tcpto":
                    os.write(fd, bytes(TCPTO_SIZE))
                os.close(fd)
            _own(path, mode, uids[account] if uids else -1, gid)


def spread(path: bytes) -> None:
    """Ask ext4 to put the directories that are going to be made in `path` far apart: `chattr +T`, chattr(1).

    Else they share one block group with all their files, and its lock, its bitmap, and its freed inodes that may not be
    given out again yet.  Other file systems have no such flag, and no such need."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(fd, GET_FLAGS, bytes(struct.calcsize("l"))))
        fcntl.ioctl(fd, SET_FLAGS, struct.pack("l", flags | TOP_DIRECTORY))
    except OSError:
        pass
    finally:
        os.close(fd)


def _own(path: bytes, mode: int, uid: int, gid: int) -> None:
    os.chown(path, uid, gid)
    os.chmod(path, mode)  # not by the umask's leave
