"""Addresses of both families."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucspi.core import ip


@pytest.mark.parametrize(
    ("word", "spelling"),
    [(b"1.2.3.4", b"1.2.3.4"), (b"2001:DB8:0:0::1", b"2001:db8::1"), (b"::", b"::"), (b"1.2.3", None), (b"x", None),
     (b"", None), (b"\xff::1", None), (b"1.2.3.4/8", None)],
)  # fmt: skip
def test_an_address_has_one_spelling(word: bytes, spelling: bytes | None) -> None:
    assert ip.canonical(word) == spelling


def test_an_ipv4_address_in_ipv6_clothes_is_an_ipv4_address() -> None:
    assert [ip.unmapped(word) for word in (b"::ffff:1.2.3.4", b"::ffff:1", b"1.2.3.4")] == [
        b"1.2.3.4",
        b"::ffff:1",
        b"1.2.3.4",
    ]


@given(st.ip_addresses())
def test_networks_are_those_of_the_standard_library(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    widths = range(address.max_prefixlen, -1, -1)
    wanted = [
        ipaddress.ip_network((int(address), w) if address.version == 4 else (address.packed, w), strict=False)
        for w in widths
    ]
    found = list(ip.networks(str(address).encode()))
    assert [ipaddress.ip_network(word.decode()) for word in found] == wanted
    assert [ip.network(b"%b/%d" % (str(address).encode(), w)) for w in widths] == found
