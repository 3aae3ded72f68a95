"""Which hosts a message goes to: artificial routes, address literals, MX and address records.

The rules stand here without DNS: they ask an `Answers`, which is the system's resolver (dnsanswers) or a test's table.
Candidates come one preference at a time and are looked up no sooner: a host that can be reached costs few queries.

RFC 5321 5.1, RFC 7505 (null MX), qmail-remote(8).  Other than the original: hosts of equal preference come in random
order, IPv6 addresses count, and only an answer that says so is a permanent failure; all other trouble is temporary."""

from __future__ import annotations

import _socket
import os

from qmail.core import control
from ucspi.core import scan
from ucspi.core.failure import PermanentFailure, TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

PORT = 25
MAPPED = b"::ffff:"  # an IPv4 address in IPv6 clothes (RFC 4291 2.5.5.2)


class NoAnswer(TemporaryFailure):
    """The DNS did not say: no server, or one that fails, refuses, or keeps silent."""

    def __init__(self) -> None:
        super().__init__("Sorry, I couldn't find any host by that name. (#4.1.2)")


class Answers:
    """What the DNS says.  An empty list: there is no such name, or it has no such records.  Else raises NoAnswer."""

    def exchangers(self, name: bytes) -> list[tuple[int, bytes]]:
        """MX records of `name`: (preference, host).  The host of a null MX is b""."""
        raise NotImplementedError

    def addresses(self, name: bytes) -> list[bytes]:
        """Addresses of `name` as text, IPv4 before IPv6."""
        raise NotImplementedError


class Route:
    """An artificial route: everything for a host goes to `relay`."""

    __slots__ = ("port", "relay")

    def __init__(self, relay: bytes, port: int) -> None:
        self.relay = relay
        self.port = port


def route(host: bytes, routes: Mapping[bytes, bytes]) -> Route | None:
    """The route of `host` in control/smtproutes; None if it goes by MX.

    Keys: the host, what starts at each of its dots, the empty one.  The first that is there counts, even if empty."""
    for key in (*control.suffixes(host.lower()), b""):
        value = routes.get(key)
        if value is not None:
            return _relay(value) if value else None
    return None


def _relay(value: bytes) -> Route:
    # A bracket may hold an IPv6 address, whose colons end nothing.
    bracket = value.find(b"]") if value.startswith(b"[") else -1
    colon = value.find(b":", max(bracket, 0))
    if colon < 0:
        return Route(value, PORT)
    return Route(value[:colon], scan.number(value[colon + 1 :]) & 0xFFFF)


def literal(host: bytes) -> bytes | None:
    """The address that `host` spells, in normal form: 192.0.2.1, [192.0.2.1], [2001:db8::1] or [IPv6:2001:db8::1]."""
    bracketed = host.startswith(b"[") and host.endswith(b"]")
    text = host[1:-1] if bracketed else host
    if bracketed and b":" in text:
        return _ipv6(text[5:] if text[:5].lower() == b"ipv6:" else text)
    numbers = text.split(b".")
    if len(numbers) != 4 or not all(scan.is_number(number) for number in numbers):
        return None
    return b".".join(b"%d" % (scan.number(number) & 0xFF) for number in numbers)  # 383 is 127, as in the original


def _ipv6(text: bytes) -> bytes | None:
    try:
        packed = _socket.inet_pton(_socket.AF_INET6, text.decode("ascii", "replace"))
    except OSError:
        return None
    return normal(_socket.inet_ntop(_socket.AF_INET6, packed).encode())


def normal(address: bytes) -> bytes:
    """An IPv4-mapped IPv6 address as the IPv4 address it is, so that our own is recognised; others as they are."""
    return address[len(MAPPED) :] if address.startswith(MAPPED) and b"." in address else address


def relays(relay: bytes, answers: Answers) -> Iterator[bytes]:
    """The addresses of a relay: no MX, and our own are as good as any, for they may listen on another port."""
    yield from _addresses_of_host(relay, answers)


def candidates(
    host: bytes, answers: Answers, own: Collection[bytes], random: Callable[[int], bytes] = os.urandom
) -> Iterator[bytes]:
    """The addresses to try for mail to `host`, best first: only such as are better than the best that is our own."""
    spelt = literal(host)
    exchangers = [] if spelt else answers.exchangers(host)
    if not exchangers:
        yield from _not_ours(_addresses_of_host(host, answers), own)
        return
    any_found = failed = False
    for group in _by_preference(exchangers, random):
        found: list[bytes] = []
        for name in group:
            try:
                found += _addresses(name, answers)
            except NoAnswer:
                failed = True  # the others may do
        if any(address in own for address in found):
            if not any_found:
                raise _ambiguous()
            return
        any_found = any_found or bool(found)
        yield from found
    if not any_found:
        raise NoAnswer if failed else _no_exchanger()


def _not_ours(found: list[bytes], own: Collection[bytes]) -> list[bytes]:
    if any(address in own for address in found):
        raise _ambiguous()
    return found


def _addresses_of_host(host: bytes, answers: Answers) -> list[bytes]:
    found = _addresses(host, answers)
    if not found:
        raise _no_host(host)
    return found


def _addresses(name: bytes, answers: Answers) -> list[bytes]:
    spelt = literal(name)
    return [spelt] if spelt else [normal(address) for address in answers.addresses(name)]


def _by_preference(exchangers: list[tuple[int, bytes]], random: Callable[[int], bytes]) -> Iterator[list[bytes]]:
    """Names grouped by preference, the best first, in random order within a group (RFC 5321 5.1)."""
    for preference in sorted({preference for preference, _ in exchangers}):
        group = [name for each, name in exchangers if each == preference]
        yield sorted(group, key=lambda _: random(8)) if len(group) > 1 else group


def _no_host(host: bytes) -> PermanentFailure:
    shown = "".join(chr(byte) if 33 <= byte <= 126 else "?" for byte in host)
    return PermanentFailure(f"Sorry, I couldn't find any host named {shown}. (#5.1.2)")


def _no_exchanger() -> PermanentFailure:
    return PermanentFailure("Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)")


def _ambiguous() -> PermanentFailure:
    return PermanentFailure(
        "Sorry. Although I'm listed as a best-preference MX or A for that host,\n"
        "it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)"
    )
