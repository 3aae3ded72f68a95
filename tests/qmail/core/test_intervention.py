"""Packets between qmail-qctl and qmail-send."""

from __future__ import annotations

import pytest

from qmail.core import intervention
from qmail.core.intervention import ITEMS, PACKET, Item, Malformed

KEYS = {b"La@b", b"R\xff\n@c", b"R"}


def test_a_request_arrives_as_it_was_meant() -> None:
    items = [Item(46, 1795421158, KEYS), Item(47, 5)]
    ((packet, inside),) = intervention.packets(b"fail", b"no more", items)
    assert packet == b"fail\0no more\0N46.1795421158\0La@b\0R\0R\xff\n@c\0N47.5\0"
    assert inside == items
    verb, text, found = intervention.unpack(packet)
    assert (verb, text) == (b"fail", b"no more")
    assert [(item.number, item.birth, item.keys) for item in found] == [(46, 1795421158, KEYS), (47, 5, set())]


def test_many_messages_take_several_packets_and_so_does_one_with_many_recipients() -> None:
    keys = {b"R%d@host.example" % i for i in range(9000)}
    found = list(intervention.packets(b"hold", b"", [*(Item(i, 1) for i in range(101)), Item(7, 8, keys)]))
    assert [len(inside) for _, inside in found[:2]] == [ITEMS, ITEMS]
    assert all(len(packet) <= PACKET for packet, _ in found)
    unpacked = [item for packet, _ in found for item in intervention.unpack(packet)[2]]
    assert [item.number for item in unpacked[:101]] == list(range(101))
    assert set().union(*(item.keys for item in unpacked)) == keys
    assert {(item.number, item.birth) for item in unpacked if item.keys} == {(7, 8)}


@pytest.mark.parametrize(
    "packet",
    [b"", b"hold", b"hold\0", b"hold\0x", b"eat\0\0", b"hold\0\0N1.2", b"hold\0\0N1\0", b"hold\0\0N.\0", b"hold\0\0La\0",
     b"hold\0\0N1.2\0Xa\0", b"hold\0\0N-1.2\0", b"hold\0\0\0"],
)  # fmt: skip
def test_anything_else_is_no_request(packet: bytes) -> None:
    with pytest.raises(Malformed):
        intervention.unpack(packet)


def test_answers_come_back_one_for_each_item() -> None:
    packet = intervention.done(3, 1) + intervention.gone() + intervention.trouble(b"disk on fire")
    found = intervention.answers(packet)
    assert found == [b"K3.1", b"Dgone", b"Zdisk on fire"]
    assert intervention.counts(found[0]) == (3, 1)
    for bad in (b"K1.2", b"X\0", b"\0"):
        with pytest.raises(Malformed):
            intervention.answers(bad)
