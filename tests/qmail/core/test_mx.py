from __future__ import annotations

import pytest

from qmail.core import mx
from qmail.core.smtproutes import Relay
from ucspi.core.failure import PermanentFailure, TemporaryFailure

OWN = frozenset((b"0.0.0.0", b"127.0.0.1", b"2001:db8::5"))
SOFT = None  # in a table: the server fails


class Zone(mx.Answers):
    """A table in place of the DNS; remembers what was asked."""

    def __init__(
        self, exchangers: dict[bytes, list[tuple[int, bytes]] | None], addresses: dict[bytes, list[bytes] | None]
    ) -> None:
        self.table, self.asked = (exchangers, addresses), list[bytes]()

    def exchangers(self, name: bytes) -> list[tuple[int, bytes]]:
        self.asked.append(b"MX " + name)
        found = self.table[0].get(name, [])
        if found is SOFT:
            raise mx.NoAnswer
        return found

    def addresses(self, name: bytes) -> list[bytes]:
        self.asked.append(name)
        found = self.table[1].get(name, [])
        if found is SOFT:
            raise mx.NoAnswer
        return found


def zone() -> Zone:
    return Zone(
        {
            b"two": [(20, b"b"), (10, b"a")],
            b"same": [(5, b"a"), (5, b"b"), (5, b"c")],
            b"nowhere": [(10, b"absent")],
            b"nowhere-soft": [(10, b"absent"), (20, b"failing")],
            b"half-soft": [(10, b"failing"), (20, b"b")],
            b"null": [(0, b"")],
            b"failing": SOFT,
            b"we-best": [(10, b"we"), (20, b"a")],
            b"we-equal": [(10, b"we"), (10, b"a")],
            b"we-second": [(10, b"a"), (20, b"we"), (30, b"b")],
            b"we-after-nothing": [(5, b"absent"), (10, b"we"), (20, b"a")],
            b"we-by-6": [(10, b"we6")],
            b"number": [(10, b"192.0.2.77")],
        },
        {
            b"a": [b"192.0.2.1", b"2001:db8::1"],
            b"b": [b"192.0.2.2"],
            b"c": [b"192.0.2.3"],
            b"plain": [b"192.0.2.9", b"192.0.2.8"],
            b"alike": [b"192.0.2.1", b"192.0.2.4", b"2001:db8::1", b"2001:db8::3"],
            b"we": [b"127.0.0.1"],
            b"we6": [b"2001:db8::5"],
            b"mapped": [b"::ffff:127.0.0.1"],
            b"failing": SOFT,
            b"failing-a": SOFT,
        },
    )


NO_ANSWER = "Sorry, I couldn't find any host by that name. (#4.1.2)"
NO_EXCHANGER = "Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)"
AMBIGUOUS = (
    "Sorry. Although I'm listed as a best-preference MX or A for that host,\n"
    "it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)"
)


def addresses(host: bytes, family: bytes = b"") -> list[bytes]:
    return [address for level in mx.candidates(host, zone(), OWN, family) for address in level.addresses]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"two", [b"2001:db8::1", b"192.0.2.1", b"192.0.2.2"]),
        (b"plain", [b"192.0.2.9", b"192.0.2.8"]),
        (b"half-soft", [b"192.0.2.2"]),
        (b"we-second", [b"2001:db8::1", b"192.0.2.1"]),
        (b"number", [b"192.0.2.77"]),
        (b"alike", [b"2001:db8::1", b"192.0.2.1", b"2001:db8::3", b"192.0.2.4"]),
        (b"[192.0.2.4]", [b"192.0.2.4"]),
        (b"192.0.2.383", [b"192.0.2.127"]),
        (b"[IPv6:2001:DB8:0::7]", [b"2001:db8::7"]),
    ],
)
def test_candidates_come_best_preference_first(host: bytes, expected: list[bytes]) -> None:
    assert addresses(host) == expected


@pytest.mark.parametrize(
    ("host", "kind", "message"),
    [
        (b"failing", TemporaryFailure, NO_ANSWER),
        (b"failing-a", TemporaryFailure, NO_ANSWER),
        (b"nowhere-soft", TemporaryFailure, NO_ANSWER),
        (b"unknown", PermanentFailure, "Sorry, I couldn't find any host named unknown. (#5.1.2)"),
        (b"a b\xff", PermanentFailure, "Sorry, I couldn't find any host named a?b?. (#5.1.2)"),
        (b"", PermanentFailure, "Sorry, I couldn't find any host named . (#5.1.2)"),
        (b"nowhere", PermanentFailure, NO_EXCHANGER),
        (b"null", PermanentFailure, NO_EXCHANGER),
        (b"we-best", PermanentFailure, AMBIGUOUS),
        (b"we-equal", PermanentFailure, AMBIGUOUS),
        (b"we-after-nothing", PermanentFailure, AMBIGUOUS),
        (b"we-by-6", PermanentFailure, AMBIGUOUS),
        (b"we", PermanentFailure, AMBIGUOUS),
        (b"mapped", PermanentFailure, AMBIGUOUS),
        (b"127.0.0.1", PermanentFailure, AMBIGUOUS),
    ],
)
def test_each_way_to_find_nothing_has_its_report(host: bytes, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        list(mx.candidates(host, zone(), OWN))
    assert str(caught.value) == message


def test_equal_preferences_come_in_every_order() -> None:
    zone_ = zone()
    zone_.table[1][b"a"] = [b"192.0.2.1"]
    orders = {tuple(level.addresses) for _ in range(200) for level in mx.candidates(b"same", zone_, OWN)}
    assert len(orders) == 6


def test_a_level_is_one_preference() -> None:
    levels = [(level.preference, level.addresses, level.port) for level in mx.candidates(b"two", zone(), OWN)]
    assert levels == [(10, [b"2001:db8::1", b"192.0.2.1"], 25), (20, [b"192.0.2.2"], 25)]


def test_a_family_may_be_all_that_is_wanted() -> None:
    assert addresses(b"two", b"/4") == [b"192.0.2.1", b"192.0.2.2"]
    assert addresses(b"two", b"/6") == [b"2001:db8::1"]
    with pytest.raises(PermanentFailure, match=r"5\.4\.6"):
        addresses(b"we-by-6", b"/4")  # it is ourselves all the same


def test_a_zone_of_thousands_costs_no_more_than_a_large_one() -> None:
    many = Zone(
        {b"many": [(i % 7, b"h%d" % i) for i in range(3000)]},
        {b"h%d" % i: [b"192.0.%d.%d" % (i >> 8, i & 255)] * 100 for i in range(3000)},
    )
    levels = list(mx.candidates(b"many", many, OWN))
    assert len(many.asked) == 1 + mx.MOST_NAMES
    assert all(len(level.addresses) <= mx.MOST_ADDRESSES for level in levels)


@pytest.mark.parametrize("host", [b"[IPv6:::1\0]", b"[::\xff]", b"[IPv6:]", b"[]", b"1.2.3.\0"])
def test_a_literal_that_is_none_is_a_name(host: bytes) -> None:
    assert mx.literal(host) is None


def test_a_literal_asks_nothing_and_a_worse_host_only_after_a_better_one() -> None:
    dns = zone()
    assert next(mx.candidates(b"192.0.2.1", dns, OWN)).addresses == [b"192.0.2.1"]
    assert not dns.asked
    search = mx.candidates(b"two", dns, OWN)
    next(search)
    assert dns.asked == [b"MX two", b"a"]


def relays(dns: Zone, *words: bytes) -> list[tuple[bytes, int]]:
    chosen = [Relay(word.removesuffix(b"/6"), 25 + number, word[-2:]) for number, word in enumerate(words)]
    return [(address, level.port) for level in mx.relays(chosen, dns) for address in level.addresses]


def test_a_relay_is_looked_up_without_mx_and_may_be_ourselves() -> None:
    dns = zone()
    assert relays(dns, b"we") == [(b"127.0.0.1", 25)]
    assert dns.asked == [b"we"]
    assert relays(dns, b"[127.0.0.1]") == [(b"127.0.0.1", 25)]
    with pytest.raises(PermanentFailure, match="any host named two"):
        relays(dns, b"two")
    with pytest.raises(TemporaryFailure, match=r"4\.1\.2"):
        relays(dns, b"failing")


def test_relays_come_in_their_order_and_one_that_cannot_be_found_is_passed_over() -> None:
    assert relays(zone(), b"b", b"unknown", b"failing", b"a/6", b"c") == [
        (b"192.0.2.2", 25),
        (b"2001:db8::1", 28),
        (b"192.0.2.3", 29),
    ]
    for words in ((b"unknown", b"failing"), (b"failing", b"unknown")):
        with pytest.raises(TemporaryFailure, match=r"4\.1\.2"):
            relays(zone(), *words)
