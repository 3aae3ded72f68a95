"""Forwarding tables, as setforward and newaliases write and fastforward and printforward read them.  A cdb:

    ":" target    commands, each ended by 0x00:
                  "&" address    "." or "/" name of a binary list    "|" program    "!" program, through preline
    "?" target    the owner's address, without 0x00

Targets are in lower case: user@host, @host for all users of a host, user@ for that user at any host."""

from __future__ import annotations

from _struct import unpack_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Get = Callable[[bytes], bytes | None]

COMMAND, OWNER = b":", b"?"
ADDRESS, LISTS, COMMANDS = b"&", (b".", b"/"), (b"|", b"!")
LONGEST = 800  # bytes of an address that may be written, its "&" included
IGNORED = 900  # bytes of an "&" entry that is passed over when read
HEADER = 2048  # bytes of pointers before the first record of a cdb


class Malformed(ValueError):
    """What should be a table is none."""


class Truncated(Malformed):
    """The end is missing; what came before it was all right."""


def pack(commands: list[bytes]) -> bytes:
    """The data of a ":" record."""
    return b"".join(command + b"\0" for command in commands)


def unpack(data: bytes) -> list[bytes]:
    """The commands of a ":" record; what follows the last 0x00 is none."""
    return data.split(b"\0")[:-1]


def keys(kind: bytes, address: bytes) -> Iterator[bytes]:
    """Where to look an address up, the most special first."""
    address = address.lower()
    yield kind + address
    user, at, host = address.rpartition(b"@")
    if at:
        yield b"%b@%b" % (kind, host)
        yield b"%b%b@" % (kind, user)


def find(get: Get, kind: bytes, address: bytes) -> bytes | None:
    """The data for an address; None if the table does not know it."""
    for key in keys(kind, address):
        data = get(key)
        if data is not None:
            return data
    return None


def records(database: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key and data of every record of a cdb, in the order of the file.  Raises Truncated."""
    if len(database) < HEADER:
        raise Truncated
    end = int(unpack_from("<I", database)[0])
    at = HEADER
    while at < end:
        if at + 8 > len(database):
            raise Truncated
        klen, dlen = unpack_from("<II", database, at)
        at += 8
        if at + klen + dlen > len(database):
            raise Truncated
        yield database[at : at + klen], database[at + klen : at + klen + dlen]
        at += klen + dlen
