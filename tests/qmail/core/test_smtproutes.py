"""control/smtproutes: which line counts, and what its value means."""

from __future__ import annotations

import pytest

from qmail.core import smtproutes
from qmail.core.control import keymap

ROUTES = keymap(
    [
        b".example:wild",
        b"one.example:",
        b"twice.example:first",
        b"Twice.Example:second:26",
        b"junk.example:relay:25|user|pass,word",
        b"comment.example:relay:25 # one, two",
        b"colon.example:relay:",
        b"noname.example::2525",
        b"six.example:[2001:db8::1]:27",
        b"big.example:relay:65561",
        b"four.example:/4",
        b"list.example:a,b/6:26,[2001:db8::1],[2001:db8::2]/6:27,192.0.2.1/4",
        b"hole.example:a,,b",
        b":default",
    ]
)

Relays = list[tuple[bytes, int, bytes]]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"a.b.example", [(b"wild", 25, b"")]),  # probe 50, and the rows below
        (b"example", [(b"default", 25, b"")]),
        (b"ONE.example", []),
        (b"twice.example", [(b"second", 26, b"")]),
        (b"junk.example", [(b"relay", 25, b"")]),
        (b"comment.example", [(b"relay", 25, b"")]),
        (b"colon.example", [(b"relay", 0, b"")]),
        (b"noname.example", [(b"", 2525, b"")]),
        (b"six.example", [(b"[2001:db8::1]", 27, b"")]),
        (b"big.example", [(b"relay", 25, b"")]),
        (b"", [(b"default", 25, b"")]),
        (b"else.where", [(b"default", 25, b"")]),
        (
            b"list.example",
            [
                (b"a", 25, b""),
                (b"b", 26, b"/6"),
                (b"[2001:db8::1]", 25, b""),
                (b"[2001:db8::2]", 27, b"/6"),
                (b"192.0.2.1", 25, b"/4"),
            ],
        ),
        (b"hole.example", [(b"a", 25, b""), (b"", 25, b""), (b"b", 25, b"")]),
    ],
)
def test_routes_are_searched_by_suffix(host: bytes, expected: Relays) -> None:
    found = smtproutes.find(host, ROUTES)
    assert [(relay.host, relay.port, relay.family) for relay in found.relays] == expected
    assert not found.family


def test_a_family_alone_means_mx() -> None:
    found = smtproutes.find(b"four.example", ROUTES)
    assert (found.relays, found.family) == ([], b"/4")


def test_without_routes_there_is_no_relay() -> None:
    assert smtproutes.find(b"a.example", {}) is smtproutes.BY_MX
