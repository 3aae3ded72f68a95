"""Names: text to labels and back.  What an answer's names look like: test_resolver.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucspi.core import dnsname
from ucspi.core.failure import TemporaryFailure


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        (b"a.b", (b"a", b"b")),
        (b".a..b.", (b"a", b"b")),
        (b"", ()),
        (b"a\\056b\\045.c", (b"a.b%", b"c")),
        (b"\\1011", (b"A1",)),
        (b"x" * 63, (b"x" * 63,)),
    ],
)
def test_dotted_names_become_labels(name: bytes, labels: tuple[bytes, ...]) -> None:
    assert dnsname.labels(name) == labels


@pytest.mark.parametrize("name", [b"x" * 64 + b".example", b"abc." * 64])
def test_a_name_that_dns_cannot_carry_is_a_protocol_error(name: bytes) -> None:
    with pytest.raises(TemporaryFailure, match="protocol error"):
        dnsname.labels(name)


def test_addresses_are_spelt_backwards() -> None:
    assert dnsname.reverse_name(b"1.2.3.4") == b"4.3.2.1.in-addr.arpa"
    assert dnsname.nibbles(b"2001:db8::1").startswith(b"1.0.0.0.") and dnsname.nibbles(b"2001:db8::1").endswith(
        b"1.0.0.2."
    )


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=4))
def test_labels_come_back_from_what_is_printed_of_them(labels: list[bytes]) -> None:
    assert dnsname.labels(dnsname.dotted(labels)) == tuple(label.lower() for label in labels)
