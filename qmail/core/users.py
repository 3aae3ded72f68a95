"""Who controls an address: users/assign, the database made of it, and the password file.  qmail-users(5).

users/assign, lines; the first that starts with "." ends it, and no line is a comment or blank:

    "=" local ":" user ":" uid ":" gid ":" home ":" dash ":" ext ":"     exactly this local part
    "+" loc   ":" user ":" uid ":" gid ":" home ":" dash ":" pre ":"     all that start with loc; ext = pre + rest

users/cdb (cdb; records in the order of the lines):

    "!" lower(local) 0x00   user 0x00 uid 0x00 gid 0x00 home 0x00 dash 0x00 ext
    "!" lower(loc)          the same with pre
    (empty), last           the last byte of every loc, each once, as it stands in the text

An exact address beats a start, a longer start a shorter one, the first of equals the others.  Because the last record
keeps the case of the text and looking up is done in lower case, a loc that ends in a capital is never found: so it is
with qmail-lspawn, whose files these are."""

from __future__ import annotations

import errno
import os

from qmail.core import database
from ucspi.core import errtext, scan
from ucspi.core.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pwd
    from collections.abc import Callable, Iterable, Iterator

# Exit codes by which qmail-getpw and the children of qmail-lspawn tell what went wrong.
NFS = 115
NO_ALIAS = 116
SYSTEM = 118

LONGEST_NAME = 31  # bytes of an account name; a longer local part can only be an extension


class BadFormat(ValueError):
    """users/assign has a line that is none."""


class Malformed(ValueError):
    """What should be six strings about a user is not."""


class Lookup(Failure):
    """The password file cannot say who it is; `code` is the exit code that tells why."""

    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


class User:
    """Who delivers, where, and which part of the address is left to him."""

    __slots__ = ("dash", "ext", "gid", "home", "name", "uid")

    def __init__(self, name: bytes, uid: int, gid: int, home: bytes, dash: bytes, ext: bytes) -> None:
        self.name, self.uid, self.gid = name, uid, gid
        self.home, self.dash, self.ext = home, dash, ext

    def pack(self) -> bytes:
        """The six strings that qmail-getpw prints."""
        return b"%b\0%d\0%d\0%b\0%b\0%b\0" % (self.name, self.uid, self.gid, self.home, self.dash, self.ext)

    @classmethod
    def unpack(cls, data: bytes) -> User:
        """Read six strings, each ended by 0x00.  Raises Malformed."""
        fields = data.split(b"\0")
        if len(fields) < 7:
            raise Malformed(data)
        name, uid, gid, home, dash, ext = fields[:6]
        # 32 bits, as in uid_t: 2**32 is root, and must be seen to be.
        return cls(name, scan.number(uid) & 0xFFFFFFFF, scan.number(gid) & 0xFFFFFFFF, home, dash, ext)


# --- users/assign to users/cdb


def records(lines: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Keys and data for the lines of users/assign (each with its newline).  Raises BadFormat."""
    wild = b""
    for line in lines:
        if line.startswith(b"."):
            yield b"", wild
            return
        address, colon, rest = line.partition(b":")
        fields = rest.split(b":")
        if not line.endswith(b"\n") or b"\0" in line or not address or not colon or len(fields) < 7:
            raise BadFormat(line)
        key = b"!" + address[1:].lower()
        if not address.startswith(b"+"):
            key += b"\0"
        elif address[1:] and address[-1:] not in wild:
            wild += address[-1:]
        yield key, b"\0".join(fields[:6])
    raise BadFormat(b"no line with a dot")


def build(fd: int, lines: Iterable[bytes]) -> None:
    """Write users/cdb to the open file `fd`.  Raises BadFormat, OSError."""
    database.write(fd, records(lines))


# --- looking up


def assigned(path: bytes, local: bytes) -> User | None:
    """Whom the database `path` gives the local part to; None if nobody, or if there is no database.

    Raises OSError for a database that cannot be read, Malformed for data that is not six strings."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        data = _find(fd, local)
    finally:
        os.close(fd)
    return None if data is None else User.unpack(data + b"\0")


def _find(fd: int, local: bytes) -> bytes | None:
    cdb = database.Database(fd)
    wild = cdb.get(b"")
    if wild is None:
        raise OSError(errno.EIO, "damaged: no list of last bytes")  # it is not ours at all
    key = b"!" + local.lower()
    exact = cdb.get(key + b"\0")
    if exact is not None:
        return exact
    for end in range(len(key), 0, -1):
        if end == 1 or key[end - 1 : end] in wild:
            start = cdb.get(key[:end])
            if start is not None:
                return start + local[end - 1 :]
    return None


def account(local: bytes, getpwnam: Callable[[str], pwd.struct_passwd]) -> User:
    """Whom the password file gives the local part to.  Raises Lookup.

    The longest account name that is all of `local`, or ends before a "-" in it, wins; but it must not be root, and
    its home must be there and be its own.  All else belongs to the user alias."""
    for end in range(len(local), -1, -1):
        if end <= LONGEST_NAME and (end == len(local) or local[end : end + 1] == b"-"):
            entry = _entry(local[:end].lower(), getpwnam)
            if entry is not None and entry.pw_uid and _owns_home(entry):
                dash = local[end : end + 1]
                return _user(entry, dash, local[end + 1 :])
    alias = _entry(b"alias", getpwnam)
    if alias is None:
        raise Lookup(NO_ALIAS)
    return _user(alias, b"-", local)


def _entry(name: bytes, getpwnam: Callable[[str], pwd.struct_passwd]) -> pwd.struct_passwd | None:
    try:
        return getpwnam(os.fsdecode(name))
    except KeyError:
        return None
    except (OSError, MemoryError):
        raise Lookup(SYSTEM) from None


def _owns_home(entry: pwd.struct_passwd) -> bool:
    try:
        return os.stat(entry.pw_dir).st_uid == entry.pw_uid
    except OSError as e:
        if errtext.is_temporary(e):
            raise Lookup(NFS) from None
        return False


def _user(entry: pwd.struct_passwd, dash: bytes, ext: bytes) -> User:
    return User(os.fsencode(entry.pw_name), entry.pw_uid, entry.pw_gid, os.fsencode(entry.pw_dir), dash, ext)
