"""Make users/assign from the password file.  qmail-pw2u(8).

    qmail-pw2u [-/ohHuUC] [-c char] < /etc/passwd > users/assign

users/include, exclude, mailnames, subusers and append below QMAILHOME change the result.
Exits 0; 100 on bad usage, 111 if anything cannot be read or a user is missing."""

from __future__ import annotations

import errno
import os

from qmail.core import instance
from qmail.core.control import Control, keymap
from ucspi.core import scan, streams
from ucspi.core.command import Call, Flag, Program, Value
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Program(
    "qmail-pw2u",
    __doc__,
    options=(
        Flag("/", "Users' extensions are files in a directory .qmail."),
        Flag("o", "Skip a user whose home is missing or not the user's own (default)."),
        Flag("h", "Stop at a missing home; skip one that is not the user's own."),
        Flag("H", "Do not look at homes."),
        Flag("u", "Allow capitals in users' names."),
        Flag("U", "Skip users with capitals in their names (default)."),
        Value("c", "CHAR", "What stands between user and extension, instead of -."),
        Flag("C", "No extensions."),
    ),
)
FULL = 8192  # bytes gathered before anything is written


class Homeless(Exception):
    """A user to skip."""


class Rules:
    """Options and control files."""

    def __init__(self, call: Call, users: Control) -> None:
        self.dash = b"-/" if call.last("/") else b"-"
        self.homes = call.last("ohH", "o")
        self.capitals = call.last("uU") == "u"
        self.delimiter = b"-"
        for letter, value in call.options:
            if letter in "cC":
                self.delimiter = (value or b"")[:1]
        include, exclude = users.entries(b"include"), users.entries(b"exclude")
        self.include = None if include is None else {name.lower() for name in include}
        self.exclude = {name.lower() for name in exclude or []}
        self.mailnames = keymap(users.entries(b"mailnames") or [])

    def wants(self, name: bytes) -> bool:
        """May this user have mail?"""
        if not self.capitals and name != name.lower():
            return False
        return (self.include is None or name.lower() in self.include) and name.lower() not in self.exclude

    def check_home(self, home: bytes, uid: int) -> None:
        """Raises Homeless, TemporaryFailure."""
        if self.homes == "H":
            return
        try:
            owner = os.stat(home).st_uid
        except OSError as e:
            if e.errno != errno.ENOENT or self.homes == "h":
                raise TemporaryFailure(f"unable to stat {os.fsdecode(home)}") from e
            raise Homeless from e
        if owner != uid:
            raise Homeless


class Accounts:
    """The lines for the accounts; `taken` remembers each for its subusers."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.taken: dict[bytes, bytes] = {}
        self.alias = False

    def lines(self, entry: bytes) -> Iterator[bytes]:
        """For one line of the password file.  Raises TemporaryFailure."""
        fields = entry.split(b":")
        if len(fields) < 7 or b"\0" in entry:
            return
        name, _, uid, gid, _, home = fields[:6]
        if not scan.number(uid) or not self.rules.wants(name):
            return
        try:
            self.rules.check_home(home, scan.number(uid))
        except Homeless:
            return
        account = b":%b:%b:%b:%b:" % (name, uid, gid, home)
        self.taken[name.lower()] = account
        if name == b"alias":
            self.alias = True
            yield b"+%b%b::\n" % (account, self.rules.dash)
        for mail_name in self.rules.mailnames.get(name.lower(), name).split(b":"):
            if mail_name:
                yield b"=%b%b::\n" % (mail_name, account)
                if self.rules.delimiter:
                    yield b"+%b%b%b%b::\n" % (mail_name, self.rules.delimiter, account, self.rules.dash)

    def subuser(self, line: bytes) -> Iterator[bytes]:
        """For one line of users/subusers.  Raises TemporaryFailure."""
        fields = line.split(b":")
        if len(fields) < 3:
            return
        sub, name, prefix = fields[:3]
        account = self.taken.get(name.lower())
        if account is None:
            raise TemporaryFailure(f"unable to find {os.fsdecode(name)} user for subuser")
        if len(fields) < 4:
            return
        dash, delimiter = self.rules.dash, self.rules.delimiter
        yield b"=%b%b%b:%b:\n" % (sub, account, dash, prefix)
        if delimiter:
            yield b"+%b%b%b%b:%b-:\n" % (sub, delimiter, account, dash, prefix)


def pw2u(call: Call) -> int:
    """The program."""
    home = instance.of(call.env)
    try:
        os.stat(home.home + b"/.")
    except OSError as e:
        raise TemporaryFailure("unable to chdir") from e
    users = home.path(b"users")
    try:
        rules = Rules(call, Control(users))
    except OSError as e:
        raise TemporaryFailure("unable to read controls") from e
    _write(_assign(Accounts(rules), users))
    return 0


def _assign(accounts: Accounts, users: bytes) -> Iterator[bytes]:
    for entry in _lines(0):
        yield from accounts.lines(entry)
    if not accounts.alias:
        raise TemporaryFailure("unable to find alias user")
    for line in _file(users + b"/subusers"):
        yield from accounts.subuser(line)
    yield b"\n".join(_file(users + b"/append"))
    yield b".\n"


def _file(path: bytes) -> Iterator[bytes]:
    """The lines of a file that may be missing."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as e:
        raise TemporaryFailure("unable to read controls") from e
    try:
        yield from _lines(fd)
    finally:
        os.close(fd)


def _lines(fd: int) -> Iterator[bytes]:
    """Lines without their newlines; what follows the last one is a line too."""
    rest = b""
    try:
        for block in streams.blocks(fd):
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
    except OSError as e:
        raise TemporaryFailure("unable to read input") from e
    yield rest


def _write(pieces: Iterator[bytes]) -> None:
    """What a run that fails has written is no users/assign to anybody: its last line, the dot, is missing."""
    pending: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            pending.append(piece)
            size += len(piece)
            if size > FULL:
                full, pending, size = pending, [], 0
                _put(full)
    finally:
        _put(pending)


def _put(pieces: list[bytes]) -> None:
    try:
        streams.write_all(1, b"".join(pieces))
    except OSError as e:
        raise TemporaryFailure("unable to write output") from e


main = PROGRAM.entry(pw2u)
