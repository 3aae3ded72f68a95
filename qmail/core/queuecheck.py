"""What is wrong with a queue: everything that the states S1 to S5 do not allow.  INTERNALS, queue-fix(8).

In four steps, because what one repairs changes what the next one sees:

    tree      directories and fixed files, their owners and modes
    names     names that are no message numbers, or stand in the wrong directory
    numbers   mess/N whose inode is not N, as after a copy or a restore
    states    files of a message that make no sense together, cannot be read, or have a wrong owner

Each finds problems and says what to do; nothing is changed here."""

from __future__ import annotations

import os
import stat

from qmail.core import envelope, hold, queuetree
from qmail.core.queuedir import SPLIT
from qmail.core.queuescan import FLAT_KINDS, KINDS, RENUMBERED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmail.core.queuescan import Scan

MAKE, OWN, ASIDE, MOVE, REMOVE, RENUMBER, REWRITE, NOTHING = (
    "make it", "set owner and mode", "move aside", "move", "remove", "renumber", "keep the good records", "nothing",
)  # fmt: skip
OWNERS = {b"mess": "qmailq", b"intd": "qmailq", b"todo": "qmailq"}  # else qmails
CHANNELS = (b"local", b"remote")
ENVELOPES = (b"hold", b"bounce", b"local", b"remote", b"info", b"todo", b"intd")


class Accounts:
    """Who must own what: uids by account, and the group of directories; -1 where it does not matter."""

    def __init__(self, uids: dict[str, int], gid: int = -1) -> None:
        self.uids, self.gid = uids, gid


class Ownership:
    """Owner, group and mode that a file must have."""

    __slots__ = ("gid", "mode", "uid")

    def __init__(self, uid: int, gid: int, mode: int) -> None:
        self.uid, self.gid, self.mode = uid, gid, mode

    def differs(self, about: os.stat_result) -> str:
        """What is wrong, "" if nothing is."""
        wrong = []
        if self.uid not in (-1, about.st_uid):
            wrong.append(f"owner {about.st_uid}, not {self.uid}")
        if self.gid not in (-1, about.st_gid):
            wrong.append(f"group {about.st_gid}, not {self.gid}")
        if stat.S_IMODE(about.st_mode) != self.mode:
            wrong.append(f"mode {stat.S_IMODE(about.st_mode):04o}, not {self.mode:04o}")
        return ", ".join(wrong)


class Problem:
    """One: `kind` for scripts, `name` of the file, `text` for people, and what would repair it.

    What the remedy needs: `to`, a name or new content; `wanted`, for MAKE with `file_type`; `numbers`, old and new."""

    __slots__ = ("file_type", "kind", "name", "numbers", "remedy", "repaired", "text", "to", "wanted")

    def __init__(
        self,
        kind: str,
        name: bytes,
        text: str,
        remedy: str,
        to: bytes = b"",
        *,
        wanted: Ownership | None = None,
        file_type: int = 0,
        numbers: tuple[int, int] = (0, 0),
    ) -> None:
        self.kind, self.name, self.text, self.remedy = kind, name, text, remedy
        self.to, self.wanted, self.file_type, self.numbers = to, wanted, file_type, numbers
        self.repaired = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and (self.kind, self.name) == (other.kind, other.name)

    def __hash__(self) -> int:
        return hash((self.kind, self.name))


# tree


def tree(found: Scan, accounts: Accounts) -> Iterator[Problem]:
    """Directories and fixed files."""
    for name, account, mode, split in queuetree.DIRECTORIES:
        wanted = Ownership(accounts.uids[account], accounts.gid, mode)
        for path in (name, *((name + b"/%d" % i for i in range(SPLIT)) if split else ())):
            yield from _fixed(found, path, stat.S_IFDIR, wanted)
    for name, account, mode in queuetree.FILES:
        kind = stat.S_IFIFO if name == b"lock/trigger" else stat.S_IFREG
        yield from _fixed(found, name, kind, Ownership(accounts.uids[account], accounts.gid, mode))
    yield from _tcpto(found)


def _fixed(found: Scan, name: bytes, kind: int, wanted: Ownership) -> Iterator[Problem]:
    try:
        about = os.lstat(found.queue.at(name))
    except FileNotFoundError:
        yield Problem("missing", name, "missing", MAKE, wanted=wanted, file_type=kind)
        return
    if stat.S_IFMT(about.st_mode) != kind:
        yield Problem("wrong-type", name, "of the wrong type", ASIDE, wanted=wanted, file_type=kind)
    elif wrong := wanted.differs(about):
        yield Problem("wrong-owner", name or b".", wrong, OWN, wanted=wanted)


def _tcpto(found: Scan) -> Iterator[Problem]:
    name = b"lock/tcpto"
    try:
        about = os.lstat(found.queue.at(name))
    except FileNotFoundError:
        return
    if stat.S_ISREG(about.st_mode) and about.st_size != queuetree.TCPTO_SIZE:
        text = f"{about.st_size} bytes instead of {queuetree.TCPTO_SIZE}"
        yield Problem("wrong-size", name, text, REWRITE, bytes(queuetree.TCPTO_SIZE))


# names


def names(found: Scan) -> Iterator[Problem]:
    """Strays, and files in the wrong subdirectory."""
    for name in found.unknown:
        yield Problem("unknown", name, "not part of a queue", NOTHING)
    for name in found.strays:
        yield Problem("stray", name, "no message number, or no file", ASIDE)
    for kind in KINDS:
        for n, paths in found.files[kind].items():
            right = found.right(kind, n)
            for path in paths:
                if path != right:
                    yield Problem("wrong-directory", path, f"must be {right.decode()}", MOVE, right)
    for name in found.extra:
        split = "is not split" if name.partition(b"/")[0] in FLAT_KINDS else f"has a split of {SPLIT}"
        yield Problem("extra-directory", name, f"this queue {split} here", REMOVE)


# numbers


def numbers(found: Scan) -> Iterator[Problem]:
    """Messages that are not called what their inode is."""
    for path in found.renumbered:
        right = path.removesuffix(RENUMBERED)
        yield Problem("half-renumbered", path, "left by a repair that was interrupted", MOVE, right)
    for n, paths in sorted(found.files[b"mess"].items()):
        try:
            inode = os.lstat(found.queue.at(paths[0])).st_ino
        except FileNotFoundError:
            continue
        if inode != n:
            text = f"must have the number of its inode, {inode}"
            yield Problem("wrong-number", paths[0], text, RENUMBER, numbers=(n, inode))


# states


def states(found: Scan, accounts: Accounts) -> Iterator[Problem]:
    """What the files of each message say together, and each for itself."""
    for n in found.numbers():
        problems = list(_message(found, n))
        yield from problems
        gone = {problem.name for problem in problems if problem.remedy == ASIDE}
        for kind in KINDS:
            for path in found.files[kind].get(n, ()):
                if path not in gone:
                    yield from _owned(found, kind, path, accounts)


def _owned(found: Scan, kind: bytes, path: bytes, accounts: Accounts) -> Iterator[Problem]:
    account = OWNERS.get(kind, "qmails")
    # The group of what qmail-queue makes is its caller's.
    wanted = Ownership(accounts.uids[account], -1, 0o644 if account == "qmailq" else 0o600)
    try:
        about = os.lstat(found.queue.at(path))
    except FileNotFoundError:
        return
    if wrong := wanted.differs(about):
        yield Problem("wrong-owner", path, wrong, OWN, wanted=wanted)


def _message(found: Scan, n: int) -> Iterator[Problem]:
    if not found.has(b"mess", n):
        yield from _all_aside(found, n, ENVELOPES, "no-message", "belongs to no message")
    elif found.has(b"todo", n):
        yield from _todo(found, n)
    elif found.has(b"info", n):
        yield from _preprocessed(found, n)
    elif any(found.has(channel, n) for channel in CHANNELS):
        # Nobody knows the sender, and qmail-send would take the message for an abandoned one some day.
        yield from _all_aside(found, n, KINDS, "no-sender", "recipients, but neither todo nor info")
    else:
        # S2 or S3: being received, or left by a reception that died, which qmail-send removes in time.
        yield from _all_aside(found, n, (b"hold", b"bounce"), "no-sender", "belongs to no queued message")


def _all_aside(found: Scan, n: int, kinds: tuple[bytes, ...], kind: str, text: str) -> Iterator[Problem]:
    for each in kinds:
        for path in found.files[each].get(n, ()):
            yield Problem(kind, path, text, ASIDE)


def _todo(found: Scan, n: int) -> Iterator[Problem]:
    """S4.  Leftovers in info, local, remote and bounce are in order: qmail-send begins anew."""
    data = _read(found, b"todo", n)
    if data is None:
        return
    *records, rest = data.split(b"\0")
    letters = {record[:1] for record in records}
    if rest or b"F" not in letters or letters - {b"u", b"p", b"F", b"T"}:
        yield from _all_aside(found, n, KINDS, "bad-envelope", "no envelope that can be understood")
        return
    yield from _all_aside(found, n, (b"hold",), "bad-hold", "holds a message that is not yet sorted")


def _preprocessed(found: Scan, n: int) -> Iterator[Problem]:
    """S5."""
    info = _read(found, b"info", n)
    if info is None:
        return
    if info[:1] != b"F" or b"\0" not in info:
        yield from _all_aside(found, n, KINDS, "bad-info", "no sender that can be understood")
        return
    yield from _all_aside(found, n, (b"intd",), "no-todo", "left of a message that is sorted already")
    for channel in CHANNELS:
        data = _read(found, channel, n)
        if data is not None:
            good = b"".join(record + b"\0" for record in envelope.records([data]) if record[:1] in (b"T", b"D"))
            if good != data or not data:
                text = f"{len(data) - len(good)} bytes are no recipients" if data else "no recipients in it"
                yield Problem("bad-recipients", found.files[channel][n][0], text, REWRITE, good)
    if found.has(b"hold", n):
        yield from _hold(found, n)


def _hold(found: Scan, n: int) -> Iterator[Problem]:
    data = _read(found, b"hold", n)
    try:
        birth, _ = hold.unpack(data or b"")
        if birth == int(os.lstat(found.queue.at(found.files[b"info"][n][0])).st_mtime):
            return
    except (ValueError, FileNotFoundError):
        pass
    yield from _all_aside(found, n, (b"hold",), "bad-hold", "holds another message of this number, or makes no sense")


def _read(found: Scan, kind: bytes, n: int) -> bytes | None:
    """The content of a file; None if there is none (any more)."""
    for path in found.files[kind].get(n, ())[:1]:
        try:
            with open(found.queue.at(path), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None
    return None
