"""Artificial routes: control/smtproutes.  qmail-remote(8).

    DOMAIN ":" RELAYS       mail for DOMAIN goes to the relays, which are asked for in their order, without MX
    DOMAIN ":"              mail for DOMAIN goes by MX, whatever a wider line says
    DOMAIN ":" FAMILY       by MX as well, but to addresses of one family only

    RELAYS   RELAY ("," RELAY)*         RELAY   HOST [FAMILY] [":" PORT]         FAMILY   "/4" or "/6"

DOMAIN is a whole name, or `.name` for all below it, or empty for everything.  HOST may be an address; one of IPv6 must
be in brackets.  Lists and families are ours; a value without comma and slash means what it means in the original,
where a port without digits is 0 and what follows the digits is ignored."""

from __future__ import annotations

from qmail.core import control
from ucspi.core import scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PORT = 25
FAMILIES = (b"/4", b"/6")


class Relay:
    """Where to go.  `family`: b"/4", b"/6", or b"" for both."""

    __slots__ = ("family", "host", "port")

    def __init__(self, host: bytes, port: int, family: bytes) -> None:
        self.host, self.port, self.family = host, port, family


class Route:
    """The way to a domain: by these relays in turn, or by MX if there are none."""

    __slots__ = ("family", "relays")

    def __init__(self, relays: list[Relay], family: bytes = b"") -> None:
        self.relays, self.family = relays, family


BY_MX = Route([])


def find(host: bytes, routes: Mapping[bytes, bytes]) -> Route:
    """The route of `host`.

    Keys: the host, what starts at each of its dots, the empty one.  The first that is there counts, even if empty."""
    for key in (*control.suffixes(host.lower()), b""):
        value = routes.get(key)
        if value is not None:
            return parse(value)
    return BY_MX


def parse(value: bytes) -> Route:
    """The route that a line spells."""
    if not value or value in FAMILIES:
        return Route([], value)
    relays: list[Relay] = []
    more = True
    while more:
        relay, value, more = _relay(value)
        relays.append(relay)
    return Route(relays)


def _relay(value: bytes) -> tuple[Relay, bytes, bool]:
    """The first relay, what follows it, and whether that is another one."""
    # A bracket may hold an IPv6 address, whose colons end nothing.
    bracket = value.find(b"]") if value.startswith(b"[") else -1
    ends = [at for at in (value.find(end, max(bracket, 0)) for end in (b":", b",")) if at >= 0]
    end = min(ends, default=len(value))
    host, mark, rest = value[:end], value[end : end + 1], value[end + 1 :]
    port = PORT
    if mark == b":":
        digits = rest[: len(rest) - len(rest.lstrip(b"0123456789"))]
        port = scan.number(digits) & 0xFFFF
        rest = rest[len(digits) :]
        mark, rest = rest[:1], rest[1:]
    family = host[-2:] if host[-2:] in FAMILIES else b""
    return Relay(host.removesuffix(family), port, family), rest, mark == b","
