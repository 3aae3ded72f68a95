"""Who may log in, and with which password.  checkpassword(8).

Two places: the system's accounts (passwd and shadow), and a single-user instance's own file, users/passwd:

    login:hash:home             one line each; home absolute, or below QMAILHOME; lines with # in front are comments

The file belongs to the instance's owner alone (mode 0600); hashes are libcrypt's, as in shadow(5).

Whoever asks must not learn from the time an answer takes whether a login exists.  So exactly one expensive hash is
computed for every question, for an unknown login or a locked account one of the same kind as the others have."""

from __future__ import annotations

import os
import pwd
import sys
from _operator import _compare_digest

from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SHADOW = b"/etc/shadow"
# The door to libcrypt: the C module of the standard library's crypt, and where that is gone, ctypes.
LIBCRYPT = "_crypt" if sys.version_info < (3, 13) else "ctypes"
_LIBCRYPT_FILES = ("libcrypt.so.1", "libcrypt.so.2", None)  # None: the C library has crypt itself, as musl's
_SALT = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
YESCRYPT = b"$y$j9T$"  # the default of Debian's passwd(1): 16 MB and some 20 ms
SHA512 = b"$6$"  # where libcrypt has no yescrypt


class Account:
    """What a login becomes."""

    __slots__ = ("gid", "hash", "home", "name", "shell", "uid")

    def __init__(self, name: bytes, hash: bytes, uid: int, gid: int, home: bytes, shell: bytes) -> None:
        self.name = name
        self.hash = hash
        self.uid = uid
        self.gid = gid
        self.home = home
        self.shell = shell


class SystemAccounts:
    """passwd and shadow.  The hash is shadow's where it has the login, else passwd's own field."""

    def __init__(self, shadow: bytes = SHADOW) -> None:
        try:
            with open(shadow, "rb") as file:
                self._shadow = [line.split(b":", 2)[:2] for line in file.read().splitlines() if b":" in line]
        except OSError:
            self._shadow = []  # not for us to read, or a system without

    def find(self, login: bytes) -> Account | None:
        """The account of a login."""
        try:
            entry = pwd.getpwnam(os.fsdecode(login))
        except (KeyError, ValueError):
            return None
        stored = self._shadow_hash(login)
        return Account(
            os.fsencode(entry.pw_name),
            os.fsencode(entry.pw_passwd) if stored is None else stored,
            entry.pw_uid,
            entry.pw_gid,
            os.fsencode(entry.pw_dir),
            os.fsencode(entry.pw_shell),
        )

    def hashes(self) -> Iterator[bytes]:
        """The stored hashes, in order."""
        return (stored for _, stored in self._shadow)

    def _shadow_hash(self, login: bytes) -> bytes | None:
        for name, stored in self._shadow:
            if name == login:
                return stored
        return _foreign_shadow(login) if self._shadow else None


class InstanceAccounts:
    """The password file of a single-user instance."""

    def __init__(self, home: bytes, uid: int, gid: int) -> None:
        """`home` is QMAILHOME.  Raises OSError; TemporaryFailure if the file is not its owner's alone."""
        self._home = home
        self._uid = uid
        self._gid = gid
        with open(home + b"/users/passwd", "rb") as file:
            about = os.fstat(file.fileno())
            if about.st_mode & 0o077 or about.st_uid not in (uid, 0):
                raise TemporaryFailure("users/passwd is open to others")
            self._entries = list(unpack(file.read()))

    def find(self, login: bytes) -> Account | None:
        """The account of a login."""
        for name, stored, home in self._entries:
            if name == login:
                return Account(name, stored, self._uid, self._gid, os.path.join(self._home, home), self._shell())
        return None

    def hashes(self) -> Iterator[bytes]:
        """The stored hashes, in order."""
        return (stored for _, stored, _ in self._entries)

    def _shell(self) -> bytes:
        try:
            return os.fsencode(pwd.getpwuid(self._uid).pw_shell)
        except KeyError:
            return b"/bin/sh"


def pack(login: bytes, stored: bytes, home: bytes) -> bytes:
    """One line of users/passwd.  ValueError if a field cannot stand there."""
    if not login or login.startswith(b"#") or b":" in login + stored or b"\n" in login + stored + home:
        raise ValueError("not a login, hash or home")
    return b"%b:%b:%b\n" % (login, stored, home)


def unpack(text: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Login, hash and home of every line of users/passwd.  A line that is none admits nobody, and harms nobody else."""
    for line in text.split(b"\n"):
        fields = line.split(b":", 2)
        if len(fields) == 3 and fields[0] and not line.startswith(b"#"):
            yield fields[0], fields[1], fields[2]


def admit(accounts: SystemAccounts | InstanceAccounts, login: bytes, password: bytes) -> Account | None:
    """The account, if login and password belong together; else None, after the same time."""
    account = accounts.find(login)
    stored = account.hash if account is not None else b""
    computed = crypt(password, stored) if usable(stored) else None
    if computed is None:
        decoy = next(filter(usable, accounts.hashes()), None)
        if decoy is None or crypt(password, decoy) is None:
            hash_password(password)
        return None
    return account if password and _compare_digest(computed, stored) else None


def usable(stored: bytes) -> bool:
    """False for what no password can match: empty, locked with ! or *, or the x that stands for shadow."""
    return len(stored) > 1 and stored[:1] not in (b"!", b"*")


def hash_password(password: bytes) -> bytes:
    """A new hash for a new password, with a salt of its own.  Raises TemporaryFailure if libcrypt can make none."""
    salt = bytes(_SALT[byte % 64] for byte in os.urandom(16))
    for method in (YESCRYPT, SHA512):
        if (made := crypt(password, method + salt)) is not None:
            return made
    raise TemporaryFailure("libcrypt knows neither yescrypt nor sha512")


def crypt(password: bytes, setting: bytes) -> bytes | None:
    """libcrypt's crypt(3); `setting` may be a whole hash.  None if it fails, or a password has a NUL in it."""
    if b"\0" in password or b"\0" in setting:
        return None
    computed = _crypt_text(password, setting) if LIBCRYPT == "_crypt" else _crypt_bytes(password, setting)
    # libcrypt may answer a bad setting with NULL or with *0, which no stored hash can be.
    return None if computed is None or computed.startswith(b"*") else computed


def _crypt_text(password: bytes, setting: bytes) -> bytes | None:
    try:
        computed = __import__(LIBCRYPT).crypt(password.decode(), setting.decode())
    except UnicodeDecodeError:  # a password in Latin 2 or the like
        return _crypt_bytes(password, setting)
    except OSError:
        return None
    return None if computed is None else os.fsencode(computed)


def _crypt_bytes(password: bytes, setting: bytes) -> bytes | None:
    """With ctypes, which takes longer to import."""
    import ctypes

    for name in _LIBCRYPT_FILES:
        try:
            function = ctypes.CDLL(name).crypt
        except (OSError, AttributeError):
            continue
        function.restype = ctypes.c_char_p
        function.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
        computed: bytes | None = function(password, setting)
        return computed
    return None


def _foreign_shadow(login: bytes) -> bytes | None:
    """The hash of an account that is not in /etc/shadow: LDAP, NIS and the like, by the name service switch.

    Python's own door, spwd, is gone in 3.13.  Imports ctypes, which only such accounts pay for."""
    import ctypes

    try:
        function = ctypes.CDLL(None).getspnam
    except (OSError, AttributeError):
        return None
    function.restype = ctypes.POINTER(ctypes.c_char_p * 2)  # struct spwd begins with sp_namp and sp_pwdp
    function.argtypes = (ctypes.c_char_p,)
    entry = function(login)
    stored: bytes | None = entry.contents[1] if entry else None
    return stored
