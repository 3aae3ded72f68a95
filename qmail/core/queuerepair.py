"""Put right what queuecheck has found, in a queue that no qmail-send works on.  queue-fix(8).

Nothing that might be mail is ever unlinked.  What cannot stay where it is goes to aside/<time>/, under the name it had;
what is rewritten is copied there first, together with its message.  Mail may come in meanwhile: no state of a reception
is a problem, and what has vanished or changed since it was looked at is left alone.

This module, queuedir and queuefiles are the only ones that create, link or unlink in a queue."""

from __future__ import annotations

import os
import stat

from qmail.core import queuecheck
from qmail.core.numbering import EXCLUSIVE
from qmail.core.queuedir import sync_directory
from qmail.core.queuescan import ASIDE, KINDS, RENUMBERED, Scan
from qmail.core.queuetree import TCPTO_SIZE
from ucspi.core import streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from qmail.core.queuecheck import Ownership, Problem


class Repair:
    """Repairs of one run.  All methods raise OSError."""

    def __init__(self, scan: Scan, stamp: bytes) -> None:
        self._queue = scan.queue
        self.scan = scan  # the latest
        self._aside = ASIDE + b"/" + stamp
        self._touched: set[bytes] = set()  # directories whose names must last

    def apply(self, problem: Problem) -> None:
        """One problem, any but RENUMBER; sets `repaired`."""
        name, wanted = problem.name, problem.wanted
        if problem.remedy == queuecheck.ASIDE:
            self._put_aside(name)
            if wanted:
                self._make(name, problem.file_type, wanted)
        elif problem.remedy == queuecheck.MAKE and wanted:
            self._make(name, problem.file_type, wanted)
        elif problem.remedy == queuecheck.OWN and wanted:
            self._own(name, wanted)
        elif problem.remedy == queuecheck.MOVE:
            self._move(name, problem.to)
        elif problem.remedy == queuecheck.REMOVE:
            os.rmdir(self._at(name))
        elif problem.remedy == queuecheck.REWRITE:
            self._rewrite(name, problem.to)
        else:
            return
        problem.repaired = True

    def sync(self) -> None:
        """Make all names last."""
        for directory in sorted(self._touched):
            if os.path.isdir(self._at(directory)):  # else one that has been removed
                sync_directory(self._at(directory))
        self._touched.clear()

    # Single files

    def _at(self, name: bytes) -> bytes:
        return self._queue.at(name)

    def _touch(self, *names: bytes) -> None:
        self._touched.update(os.path.dirname(name) for name in names)

    def _room(self, name: bytes) -> bytes:
        """A free name in aside/ for something called `name`."""
        target = self._aside + b"/" + name
        above = b""
        for part in target.split(b"/")[:-1]:
            above = above + b"/" + part if above else part
            try:
                os.mkdir(self._at(above), 0o700)
                self._touch(above)
            except FileExistsError:
                pass
        suffix = 0
        while os.path.lexists(self._at(target + b".%d" % suffix if suffix else target)):
            suffix += 1
        return target + b".%d" % suffix if suffix else target

    def _put_aside(self, name: bytes) -> None:
        target = self._room(name)
        try:
            os.rename(self._at(name), self._at(target))
        except FileNotFoundError:
            return
        self._touch(name, target)

    def _make(self, name: bytes, kind: int, wanted: Ownership) -> None:
        path = self._at(name)
        if kind == stat.S_IFDIR:
            os.mkdir(path, 0o700)
        elif kind == stat.S_IFIFO:
            os.mkfifo(path, 0o600)
        else:
            fd = os.open(path, EXCLUSIVE, 0o600)
            try:
                if name == b"lock/tcpto":
                    streams.write_all(fd, bytes(TCPTO_SIZE))
            finally:
                os.close(fd)
        self._touch(name)
        self._own(name, wanted)

    def _own(self, name: bytes, wanted: Ownership) -> None:
        # By a descriptor: whoever owns the directory must not have us chown what a symbolic link leads to.
        try:
            fd = os.open(self._at(name), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            os.fchown(fd, wanted.uid, wanted.gid)
            os.fchmod(fd, wanted.mode)
        finally:
            os.close(fd)

    def _move(self, name: bytes, target: bytes) -> None:
        """Rename to where nothing is; what cannot go there goes aside."""
        try:
            os.link(self._at(name), self._at(target), follow_symlinks=False)
        except FileExistsError:
            if not self._same(name, target):
                self._put_aside(name)
                return
        os.unlink(self._at(name))  # the other link stays
        self._touch(name, target)

    def _same(self, one: bytes, other: bytes) -> bool:
        try:
            return os.path.samestat(os.lstat(self._at(one)), os.lstat(self._at(other)))
        except FileNotFoundError:
            return False

    def _rewrite(self, name: bytes, data: bytes) -> None:
        number = name.rpartition(b"/")[2]
        if number.isdigit():
            for kind in (b"mess", b"info", name.partition(b"/")[0]):
                for path in self.scan.files[kind].get(int(number), ()):
                    self._copy(path, self._room(path))
        about = os.lstat(self._at(name))
        new = name + b".new"
        fd = os.open(self._at(new), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            streams.write_all(fd, data)
            os.fchown(fd, about.st_uid, about.st_gid)
            os.fchmod(fd, stat.S_IMODE(about.st_mode))
            os.utime(fd, ns=(about.st_atime_ns, about.st_mtime_ns))  # the next attempt
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(self._at(new), self._at(name))
        self._touch(name)

    def _copy(self, name: bytes, target: bytes) -> None:
        source = os.open(self._at(name), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fd = os.open(self._at(target), EXCLUSIVE, 0o600)
            try:
                for block in streams.blocks(source):
                    streams.write_all(fd, block)
                about = os.fstat(source)
                os.utime(fd, ns=(about.st_atime_ns, about.st_mtime_ns))
                os.fsync(fd)
            finally:
                os.close(fd)
        finally:
            os.close(source)
        self._touch(target)

    # Numbers

    def renumber(self, problems: Sequence[Problem]) -> None:
        """Give messages the numbers of their inodes, all at once: one's new number may be another's old one.

        First all files get a second name, for the new number but marked; then the old names go; then the marked ones
        become the real ones, and the marks go last.  So at every instant each file has a name that a next run
        understands, and qmail-send, should somebody start it after a crash in the middle, can remove no last name."""
        old: list[bytes] = []
        for problem in problems:
            if problem.remedy == queuecheck.RENUMBER:
                old += self._mark(*problem.numbers)
            problem.repaired = True
        self.sync()
        for path in old:
            os.unlink(self._at(path))
            self._touch(path)
        self.sync()
        self._unmark()

    def _mark(self, n: int, inode: int) -> list[bytes]:
        done = []
        for kind in KINDS:
            for path in self.scan.files[kind].get(n, ())[:1]:
                marked = self.scan.right(kind, inode) + RENUMBERED
                if os.path.lexists(self._at(marked)) and not self._same(path, marked):
                    self._put_aside(marked)
                if not os.path.lexists(self._at(marked)):
                    os.link(self._at(path), self._at(marked), follow_symlinks=False)
                self._touch(marked)
                done.append(path)
        return done

    def _unmark(self) -> None:
        marked = Scan(self._queue).renumbered
        finals = {name: name.removesuffix(RENUMBERED) for name in marked}
        numbers = {final.rpartition(b"/")[2] for final in finals.values()}
        # A message that has had its right number all along keeps it, and its files; others there belong to nobody.
        settled = {n for n in numbers if os.path.lexists(self._queue.mess(int(n)))}
        for name, final in finals.items():
            if os.path.lexists(self._at(final)) and not self._same(name, final):
                self._put_aside(name if final.rpartition(b"/")[2] in settled else final)
            if os.path.lexists(self._at(name)) and not os.path.lexists(self._at(final)):
                os.link(self._at(name), self._at(final), follow_symlinks=False)
            self._touch(name, final)
        self.sync()
        for name in marked:
            if os.path.lexists(self._at(name)):
                os.unlink(self._at(name))
        self._touched.update(os.path.dirname(name) for name in marked)
        self.sync()
