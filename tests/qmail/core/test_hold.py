"""hold/N: the format, and what holds over a restart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qmail.core import hold
from qmail.core.hold import ALL, NONE, Holds
from qmail.core.queuedir import Queue
from tests.support.instance import make_instance

BIRTH = 1795421158
SOME = frozenset((b"La@b", b"R\xff@\n", b"R"))


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    home = make_instance(tmp_path)
    (home / "queue/hold").mkdir()
    (home / "queue/info/0/46").write_bytes(b"F\0")
    os.utime(home / "queue/info/0/46", (BIRTH, BIRTH))
    return Queue(bytes(home / "queue"))


@pytest.mark.parametrize("held", [ALL, SOME])
def test_what_is_packed_is_unpacked(held: frozenset[bytes]) -> None:
    assert hold.unpack(hold.pack(BIRTH, held)) == (BIRTH, held)


def test_the_bytes_are_those_of_the_description() -> None:
    assert hold.pack(7, ALL) == b"b7\0A\0"
    assert hold.pack(7, [b"Rz@y", b"La@b"]) == b"b7\0La@b\0Rz@y\0"


@pytest.mark.parametrize(
    "data", [b"", b"b7", b"b7\0", b"b\0A\0", b"bx\0A\0", b"A\0", b"b7\0A", b"b7\0Xa@b\0", b"b7\0A\0La@b\0", b"b7\0\0"]
)
def test_anything_else_holds_nothing(data: bytes, queue: Queue) -> None:
    with pytest.raises(ValueError):
        hold.unpack(data)
    Path(os.fsdecode(queue.hold(46))).write_bytes(data)
    assert hold.read(queue, 46) == NONE


def test_holds_last_and_end(queue: Queue) -> None:
    holds = Holds(queue)
    assert not holds
    holds.set(46, BIRTH, SOME)
    again = Holds(queue)
    again.load()
    assert again.of(46) == SOME == hold.read(queue, 46)
    assert again.holds(46, 0, b"a@b") and not again.holds(46, 1, b"a@b") and not again.holds(47, 0, b"a@b")
    again.set(46, BIRTH, ALL)
    assert again.holds(46, 1, b"a@b")
    again.set(46, BIRTH, NONE)
    assert not again and not os.path.exists(queue.hold(46))
    again.set(46, BIRTH, ALL)
    again.forget(46)
    assert not again and os.listdir(queue.at(b"hold")) == []


def test_a_hold_for_an_earlier_message_of_that_number_does_not_count_and_one_for_a_message_that_is_gone_goes(
    queue: Queue,
) -> None:
    for number, birth in ((46, BIRTH - 1), (69, BIRTH)):
        Path(os.fsdecode(queue.hold(number))).write_bytes(hold.pack(birth, ALL))
    holds = Holds(queue)
    holds.load()
    assert not holds
    assert os.listdir(queue.at(b"hold")) == [b"46"]
