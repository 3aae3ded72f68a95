from __future__ import annotations

import pytest

from qmail.core import mx
from qmail.core.control import keymap
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


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"two", [b"192.0.2.1", b"2001:db8::1", b"192.0.2.2"]),
        (b"plain", [b"192.0.2.9", b"192.0.2.8"]),
        (b"half-soft", [b"192.0.2.2"]),
        (b"we-second", [b"192.0.2.1", b"2001:db8::1"]),
        (b"number", [b"192.0.2.77"]),
        (b"[192.0.2.4]", [b"192.0.2.4"]),
        (b"192.0.2.383", [b"192.0.2.127"]),
        (b"[IPv6:2001:DB8:0::7]", [b"2001:db8::7"]),
    ],
)
def test_candidates_come_best_preference_first(host: bytes, expected: list[bytes]) -> None:
    assert list(mx.candidates(host, zone(), OWN)) == expected


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
    orders = {tuple(mx.candidates(b"same", zone(), OWN)) for _ in range(200)}
    assert len(orders) == 6


def test_a_literal_asks_nothing_and_a_worse_host_only_after_a_better_one() -> None:
    dns = zone()
    assert next(mx.candidates(b"192.0.2.1", dns, OWN)) == b"192.0.2.1"
    assert not dns.asked
    search = mx.candidates(b"two", dns, OWN)
    next(search)
    assert dns.asked == [b"MX two", b"a"]


def test_a_relay_is_looked_up_without_mx_and_may_be_ourselves() -> None:
    dns = zone()
    assert list(mx.relays(b"we", dns)) == [b"127.0.0.1"]
    assert dns.asked == [b"we"]
    assert list(mx.relays(b"[127.0.0.1]", dns)) == [b"127.0.0.1"]
    with pytest.raises(PermanentFailure, match="any host named two"):
        list(mx.relays(b"two", dns))
    with pytest.raises(TemporaryFailure, match=r"4\.1\.2"):
        list(mx.relays(b"failing", dns))


ROUTES = keymap(
    [
        b".example:wild",
        b"one.example:",
        b"twice.example:first",
        b"Twice.Example:second:26",
        b"junk.example:relay:25|user|pass",
        b"colon.example:relay:",
        b"noname.example::2525",
        b"six.example:[2001:db8::1]:27",
        b"big.example:relay:65561",
        b":default",
    ]
)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"a.b.example", (b"wild", 25)),
        (b"example", (b"default", 25)),
        (b"ONE.example", None),
        (b"twice.example", (b"second", 26)),
        (b"junk.example", (b"relay", 25)),
        (b"colon.example", (b"relay", 0)),
        (b"noname.example", (b"", 2525)),
        (b"six.example", (b"[2001:db8::1]", 27)),
        (b"big.example", (b"relay", 25)),
        (b"", (b"default", 25)),
        (b"else.where", (b"default", 25)),
    ],
)
def test_routes_are_searched_by_suffix(host: bytes, expected: tuple[bytes, int] | None) -> None:
    found = mx.route(host, ROUTES)
    assert (found and (found.relay, found.port)) == expected


def test_without_routes_there_is_no_relay() -> None:
    assert mx.route(b"a.example", {}) is None
