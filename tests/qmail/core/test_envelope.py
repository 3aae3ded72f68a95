"""Envelopes, whole and in every possible pair of blocks."""

from __future__ import annotations

import time

import pytest

from qmail.core import envelope

LONG = b"x" * 1002
MAILING_LIST = 100_000


def read(data: bytes) -> tuple[bytes, bool]:
    """Records and done, the same however the input is cut."""
    reader = envelope.Reader()
    answer = reader.feed(data), reader.done
    for cut in range(len(data) if len(data) < 100 else 0):
        reader = envelope.Reader()
        assert (reader.feed(data[:cut]) + reader.feed(data[cut:]), reader.done) == answer
    reader = envelope.Reader()
    assert (b"".join(reader.feed(data[i : i + 1]) for i in range(len(data))), reader.done) == answer
    return answer


@pytest.mark.parametrize(
    ("data", "records", "done"),
    [
        (b"Fa@b\0Tc@d\0Te@f\0\0", b"Fa@b\0Tc@d\0Te@f\0", True),
        (b"Fa@b\0\0", b"Fa@b\0", True),
        (b"F\0Tq@q\0\0junk", b"F\0Tq@q\0", True),
        (b"F\0T\0\0", b"F\0T\0", True),
        (b"F\0\0X\0\0", b"F\0", True),
        (b"", b"", False),
        (b"Fa@b", b"", False),
        (b"Fa@b\0Tc@d\0", b"Fa@b\0Tc@d\0", False),
        (b"Fa@b\0Tc", b"Fa@b\0", False),
        (b"F" + LONG + b"\0T" + LONG + b"\0\0", b"F" + LONG + b"\0T" + LONG + b"\0", True),
    ],
)
def test_complete_records_pass_and_the_end_mark_is_seen(data: bytes, records: bytes, done: bool) -> None:
    assert read(data) == (records, done)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"Xa@b\0\0", 91),
        (b"X", 91),
        (b"\0", 91),
        (b"Ta@b\0\0", 91),
        (b"Fa@b\0Xc@d\0\0", 91),
        (b"Fa@b\0Fc@d\0\0", 91),
        (b"F" + LONG + b"y", 11),
        (b"F\0T" + LONG + b"y\0\0", 11),
        (b"X" + LONG + b"yy", 91),
    ],
)
def test_what_is_no_envelope_is_refused_at_its_first_wrong_byte(data: bytes, code: int) -> None:
    with pytest.raises(envelope.BadEnvelope) as trouble:
        envelope.Reader().feed(data)
    assert trouble.value.code == code
    reader = envelope.Reader()
    with pytest.raises(envelope.BadEnvelope) as trouble:
        for i in range(len(data)):
            reader.feed(data[i : i + 1])
    assert trouble.value.code == code


def test_unpack_gives_back_what_pack_was_given() -> None:
    for sender, recipients in [(b"", []), (b"a@b", [b"c@d"]), (b"we ird\n\xff", [b"", b"x", LONG])]:
        assert envelope.unpack(envelope.pack(sender, recipients)) == (sender, recipients)
    for early in (b"", b"Fa@b", b"Fa@b\0"):
        with pytest.raises(envelope.BadEnvelope):
            envelope.unpack(early)


def test_a_mailing_list_is_read_in_linear_time() -> None:
    data = envelope.pack(b"owner@list.example", (b"reader%d@host%d.example" % (i, i) for i in range(MAILING_LIST)))
    reader, start, size = envelope.Reader(), time.process_time(), 0
    for i in range(0, len(data), 4096):
        size += len(reader.feed(data[i : i + 4096]))
    assert reader.done and size == len(data) - 1
    assert time.process_time() - start < 2  # generous: a quadratic reader needs minutes


def test_queue_file_records_do_not_depend_on_block_size_and_lack_an_unfinished_last_one() -> None:
    data = envelope.pack_todo(1008, 6067) + b"Fa@b\0Tc@d\0Thalf"
    wanted = [b"u1008", b"p6067", b"Fa@b", b"Tc@d"]
    for size in range(1, len(data) + 1):
        assert list(envelope.records(data[i : i + size] for i in range(0, len(data), size))) == wanted
