"""Addresses of both families as text: one spelling for each, and the networks an address is in.

IPv4 is dotted decimal; IPv6 is compact (RFC 5952), which is what inet_ntop writes.  An IPv4 address that a socket of
both families shows as ::ffff:1.2.3.4 is an IPv4 address."""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MAPPED = b"::ffff:"
_BITS = {AF_INET: 32, AF_INET6: 128}


def canonical(address: bytes) -> bytes | None:
    """The one spelling of an address; None for what is none."""
    family = AF_INET6 if b":" in address else AF_INET
    try:
        return inet_ntop(family, inet_pton(family, address.decode("ascii"))).encode()
    except (OSError, ValueError):
        return None


def unmapped(address: bytes) -> bytes:
    """An IPv4 address out of its IPv6 clothes; any other as it is."""
    return address[len(_MAPPED) :] if address.startswith(_MAPPED) and b"." in address else address


def network(word: bytes) -> bytes | None:
    """`10.1.2.3/8` as the network it is in, 10.0.0.0/8; None for what is no network."""
    address, slash, width = word.partition(b"/")
    family = AF_INET6 if b":" in address else AF_INET
    if not slash or not width.isdigit() or len(width) > 3 or int(width) > _BITS[family]:
        return None
    try:
        packed = inet_pton(family, address.decode("ascii"))
    except (OSError, ValueError):
        return None
    return _masked(family, int.from_bytes(packed, "big"), int(width))


def networks(address: bytes) -> Iterator[bytes]:
    """Every network that an address is in, the narrowest first, down to /0, which is its whole family."""
    family = AF_INET6 if b":" in address else AF_INET
    try:
        number = int.from_bytes(inet_pton(family, address.decode("ascii")), "big")
    except (OSError, ValueError):
        return
    for width in range(_BITS[family], -1, -1):
        yield _masked(family, number, width)


def _masked(family: int, number: int, width: int) -> bytes:
    spare = _BITS[family] - width
    packed = (number >> spare << spare).to_bytes(_BITS[family] // 8, "big")
    return b"%b/%d" % (inet_ntop(family, packed).encode(), width)
