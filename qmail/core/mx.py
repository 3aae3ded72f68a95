"""Which hosts a message goes to: relays, address literals, MX and address records.

The rules stand here without DNS: they ask an `Answers`, which is the system's resolver (dnsanswers) or a test's table.
Candidates come one preference at a time and are looked up no sooner: a host that can be reached costs few queries.

RFC 5321 5.1, RFC 7505 (null MX), qmail-remote(8).  Other than the original: hosts of equal preference come in random
order, IPv6 addresses count, and only an answer that says so is a permanent failure; all other trouble is temporary."""

from __future__ import annotations

import _socket
import os

from qmail.core import smtproutes
from ucspi.core import scan
from ucspi.core.failure import Failure, PermanentFailure, TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from qmail.core.smtproutes import Relay

    Random = Callable[[int], bytes]

# More than anybody has; what a hostile zone lists beyond it would only cost us time.
MOST_NAMES = 50
MOST_ADDRESSES = 50
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


class Level:
    """Addresses that are equally good, in the order to try them; `port` is theirs."""

    __slots__ = ("addresses", "port", "preference")

    def __init__(self, preference: int, addresses: list[bytes], port: int = smtproutes.PORT) -> None:
        self.preference, self.addresses, self.port = preference, addresses, port


class NoExchanger(PermanentFailure):
    """Exchangers are named, and none of them is anywhere."""

    def __init__(self) -> None:
        super().__init__("Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)")


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
    except (OSError, ValueError):
        return None
    return normal(_socket.inet_ntop(_socket.AF_INET6, packed).encode())


def normal(address: bytes) -> bytes:
    """An IPv4-mapped IPv6 address as the IPv4 address it is, so that our own is recognised; others as they are."""
    return address[len(MAPPED) :] if address.startswith(MAPPED) and b"." in address else address


def relays(chosen: Sequence[Relay], answers: Answers) -> Iterator[Level]:
    """The addresses of relays: no MX, and our own are as good as any, for they may listen on another port."""
    failure: Failure | None = None
    found = False
    for number, relay in enumerate(chosen):
        try:
            addresses = _of_family(_in_turns(_addresses_of_host(relay.host, answers)), relay.family)
        except Failure as e:
            # Another relay may do.  If none does, one that DNS did not answer for may be there the next time.
            failure = failure if isinstance(failure, NoAnswer) else e
            continue
        found = True
        yield Level(number, addresses, relay.port)
    if failure and not found:
        raise failure


def candidates(
    host: bytes, answers: Answers, own: Collection[bytes], family: bytes = b"", random: Random = os.urandom
) -> Iterator[Level]:
    """Where to try to deliver mail for `host`: only at addresses that are better than the best that is our own."""
    better = False
    for level in levels(host, answers, random):
        if any(address in own for address in level.addresses):
            if not better:
                raise _ambiguous()
            return
        better = True
        yield Level(level.preference, _of_family(level.addresses, family))


def levels(host: bytes, answers: Answers, random: Random = os.urandom) -> Iterator[Level]:
    """The addresses for mail to `host`, one preference after the other, the best first.  Raises Failure for none."""
    spelt = literal(host)
    exchangers = [] if spelt else answers.exchangers(host)
    if not exchangers:
        yield Level(0, _in_turns(_addresses_of_host(host, answers)))
        return
    found = failed = False
    for preference, names in _by_preference(exchangers, random):
        addresses: list[bytes] = []
        for name in names:
            try:
                addresses += _addresses(name, answers)
            except NoAnswer:
                failed = True  # the others may do
        if addresses:
            found = True
            yield Level(preference, _in_turns(addresses))
    if not found:
        raise NoAnswer if failed else NoExchanger


def _in_turns(addresses: list[bytes]) -> list[bytes]:
    """One of IPv6, one of IPv4, and so on (RFC 8305 4); otherwise in their order."""
    sixes = [address for address in addresses if b":" in address]
    fours = [address for address in addresses if b":" not in address]
    both = min(len(sixes), len(fours))
    pairs = zip(sixes[:both], fours[:both], strict=True)
    return [*(address for pair in pairs for address in pair), *sixes[both:], *fours[both:]]


def _of_family(addresses: list[bytes], family: bytes) -> list[bytes]:
    """Those of one family, or of both if it is empty; and not too many."""
    unwanted = {b"/4": True, b"/6": False}.get(family)
    return [address for address in addresses if (b":" in address) is not unwanted][:MOST_ADDRESSES]


def _addresses_of_host(host: bytes, answers: Answers) -> list[bytes]:
    found = _addresses(host, answers)
    if not found:
        raise _no_host(host)
    return found


def _addresses(name: bytes, answers: Answers) -> list[bytes]:
    spelt = literal(name)
    return [spelt] if spelt else [normal(address) for address in answers.addresses(name)]


def _by_preference(exchangers: list[tuple[int, bytes]], random: Random) -> Iterator[tuple[int, list[bytes]]]:
    """Names by preference, the best first, in random order where they have the same (RFC 5321 5.1).  Not too many."""
    shuffled = sorted(exchangers, key=lambda each: (each[0], random(8)))[:MOST_NAMES]
    for preference in dict.fromkeys(each for each, _ in shuffled):
        yield preference, [name for each, name in shuffled if each == preference]


def _no_host(host: bytes) -> PermanentFailure:
    shown = "".join(chr(byte) if 33 <= byte <= 126 else "?" for byte in host)
    return PermanentFailure(f"Sorry, I couldn't find any host named {shown}. (#5.1.2)")


def _ambiguous() -> PermanentFailure:
    return PermanentFailure(
        "Sorry. Although I'm listed as a best-preference MX or A for that host,\n"
        "it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)"
    )
