"""QMQP's client core: the bytes of a request, and what counts as a verdict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmail.protocol.qmqp_client import LONGEST_REPLY, NoVerdict, Reply, request


def test_a_request_is_netstrings_in_a_netstring() -> None:
    pieces = request([b"Subject: x\n", b"\nhi\n"], b"s@x", [b"a@b", b"c@d"])
    assert b"".join(pieces) == b"37:15:Subject: x\n\nhi\n,3:s@x,3:a@b,3:c@d,,"  # probe 59
    assert b"".join(request([], b"", [])) == b"6:0:,0:,,"


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (b"23:Kok 1795420515 qp 19535,", b"K"),
        (b"10:Zok foo ba,", b"Z"),  # probe 59
        (b"5:Dgo K,", b"D"),
        (b"5:.....,", b""),
        (b"", b""),
    ],
)
def test_the_first_of_three_letters_is_the_verdict(reply: bytes, verdict: bytes) -> None:
    assert Reply().feed(reply) == verdict
    slow = Reply()
    assert next((found for byte in reply if (found := slow.feed(bytes((byte,))))), b"") == verdict


def test_who_talks_without_end_has_no_verdict() -> None:
    reply = Reply()
    assert reply.feed(b"1" * LONGEST_REPLY) == b""
    with pytest.raises(NoVerdict):
        reply.feed(b"1")


@given(st.lists(st.binary(max_size=20), max_size=5), st.binary(max_size=9), st.lists(st.binary(max_size=9), max_size=5))
def test_what_is_inside_comes_out_again(message: list[bytes], sender: bytes, recipients: list[bytes]) -> None:
    wire = b"".join(request(message, sender, recipients))

    def strings(data: bytes) -> list[bytes]:
        found = []
        while data:
            length, _, data = data.partition(b":")
            found.append(data[: int(length)])
            assert data[int(length) :][:1] == b","
            data = data[int(length) + 1 :]
        return found

    (inside,) = strings(wire)
    assert strings(inside) == [b"".join(message), sender, *recipients]
