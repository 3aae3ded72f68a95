"""The directories of QMAILHOME, and the fixed files of the queue: owner, group, mode.  As notqmail's hier.c has them.

What is there keeps its content.  Owners and modes are set right; a test of each is what `check` prints."""

from __future__ import annotations

import os
import stat

from qmail.core import queuetree
from qmail.core.queuedir import SPLIT
from ucspi.core.failure import PermanentFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmail.install.accounts import Ids

# below QMAILHOME: owner, mode.  The group is always qmail.
DIRECTORIES = (
    ("", "root", 0o755),
    ("/control", "root", 0o755),
    ("/users", "root", 0o755),
    ("/bin", "root", 0o755),
    ("/boot", "root", 0o755),
    ("/alias", "alias", 0o2755),
)
KINDS = {"d": stat.S_ISDIR, "f": stat.S_ISREG, "p": stat.S_ISFIFO}
SIZES = {"/queue/lock/tcpto": queuetree.TCPTO_SIZE}


class Place:
    """A directory, file or FIFO: what it is, and whose."""

    __slots__ = ("gid", "group", "kind", "mode", "owner", "path", "size", "uid")

    def __init__(self, path: str, kind: str, owner: str, group: str, mode: int, ids: Ids, size: int = 0) -> None:
        self.path, self.kind, self.owner, self.group, self.mode = path, kind, owner, group, mode
        self.uid, self.gid = ids.uids[owner], ids.gids[group]
        self.size = size  # of a file that is made

    def wrong(self, destdir: str = "") -> Iterator[str]:
        """What differs, as notqmail's instcheck says it."""
        try:
            about = os.stat(destdir + self.path)
        except FileNotFoundError:
            yield f"{self.path}: does not exist"
            return
        if not KINDS[self.kind](about.st_mode):
            yield f"{self.path}: has wrong type"
            return
        if about.st_uid != self.uid:
            yield f"{self.path}: has wrong owner: {about.st_uid}, not {self.owner}"
        if about.st_gid != self.gid:
            yield f"{self.path}: has wrong group: {about.st_gid}, not {self.group}"
        if stat.S_IMODE(about.st_mode) != self.mode:
            yield f"{self.path}: has wrong permissions: {stat.S_IMODE(about.st_mode):04o}, not {self.mode:04o}"

    def make(self, destdir: str = "") -> bool:
        """Make it, or set it right; True if that changed anything.  Raises OSError, PermanentFailure (wrong type)."""
        complaints = list(self.wrong(destdir))
        path = destdir + self.path
        for complaint in complaints:
            if complaint.endswith("wrong type"):
                raise PermanentFailure(f"{complaint}; it is in the way")
            if complaint.endswith("not exist"):
                self._create(path)
        if complaints:
            os.chown(path, self.uid, self.gid)
            os.chmod(path, self.mode)  # after chown, which takes a set-group-id bit away
        return bool(complaints)

    def _create(self, path: str) -> None:
        if self.kind == "d":
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            os.mkdir(path, 0o700)
        elif self.kind == "p":
            os.mkfifo(path, 0o600)
        else:
            with open(path, "xb") as file:
                file.write(bytes(self.size))


def places(home: str, ids: Ids) -> Iterator[Place]:
    """Everything, parents first."""
    for below, owner, mode in DIRECTORIES:
        yield Place(home + below, "d", owner, "qmail", mode, ids)
    for name, owner, mode, split in queuetree.DIRECTORIES:
        path = home + "/queue" + ("/" + name.decode() if name else "")
        yield Place(path, "d", owner, "qmail", mode, ids)
        for number in range(SPLIT if split else 0):
            yield Place(f"{path}/{number}", "d", owner, "qmail", mode, ids)
    for name, owner, mode in queuetree.FILES:
        below = "/queue/" + name.decode()
        kind = "p" if name.endswith(b"trigger") else "f"
        yield Place(home + below, kind, owner, "qmail", mode, ids, SIZES.get(below, 0))


def demand_split(home: str) -> None:
    """A queue with another number of subdirectories is not ours to take over.  Raises PermanentFailure."""
    mess = home + "/queue/mess"
    try:
        names = [name for name in os.listdir(mess) if name.isdigit()]
    except FileNotFoundError:
        return
    if names and len(names) != SPLIT:
        raise PermanentFailure(
            f"{mess} has {len(names)} subdirectories, not {SPLIT} (conf-split): "
            f"let the qmail that it belongs to empty it first, or put it elsewhere"
        )
