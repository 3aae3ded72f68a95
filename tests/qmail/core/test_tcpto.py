from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from qmail.core import tcpto

NOW = 1_795_000_000
HOST, OTHER = b"192.0.2.1", b"192.0.2.2"
PACKED = bytes((192, 0, 2, 1))


def record(address: bytes, count: int, when: int) -> bytes:
    """The layout of qmail-queue.md 2.7, written out by hand."""
    return address + bytes((count, 0, 0, 0)) + struct.pack("<L", when) + bytes(4)


def table_with(*rows: bytes) -> bytes:
    return b"".join(rows).ljust(1024, b"\0")


@pytest.fixture
def path(tmp_path: Path) -> bytes:
    file = tmp_path / "tcpto"
    file.write_bytes(bytes(1024))
    return os.fsencode(file)


def content(path: bytes) -> bytes:
    return Path(os.fsdecode(path)).read_bytes()


def test_the_first_time_out_takes_the_first_free_record(path: bytes) -> None:
    tcpto.Table(path).timed_out(HOST, NOW)
    assert content(path) == table_with(record(PACKED, 1, NOW))


def test_a_time_out_within_two_minutes_changes_nothing() -> None:
    table = table_with(record(PACKED, 1, NOW))
    assert tcpto.timed_out(table, PACKED, NOW + 119) is None
    later = tcpto.timed_out(table, PACKED, NOW + 120)
    assert later is not None and (later.count, later.when) == (2, NOW + 120)
    earlier = tcpto.timed_out(table, PACKED, NOW - 7200)  # the clock has been set back
    assert earlier is not None and (earlier.count, earlier.when) == (2, NOW - 7200)


def test_bytes_that_only_look_like_an_address_are_no_record() -> None:
    when = int.from_bytes(PACKED, "little")
    table = table_with(record(bytes(4), 2, when), record(PACKED, 3, NOW))
    found = tcpto.find(table, PACKED)
    assert found is not None and (found.at, found.count) == (16, 3)
    assert tcpto.find(table[:30], PACKED) is None


def test_the_count_stops_at_ten() -> None:
    later = tcpto.timed_out(table_with(record(PACKED, 10, NOW)), PACKED, NOW + 500)
    assert later is not None and later.count == 10


def test_a_free_record_of_the_same_host_is_used_again_at_once() -> None:
    later = tcpto.timed_out(table_with(record(PACKED, 0, NOW)), PACKED, NOW + 1)
    assert later is not None and (later.at, later.count, later.when) == (0, 1, NOW + 1)


def test_a_full_table_gives_up_the_record_with_the_least_time_plus_count_times_1024() -> None:
    rows = [record(bytes((10, 0, 0, i)), 2, NOW) for i in range(64)]
    rows[7] = record(bytes((10, 0, 0, 7)), 1, NOW + 1023)  # one less of 1024, for 1023 s more
    rows[9] = record(bytes((10, 0, 0, 9)), 3, NOW - 1000)
    later = tcpto.timed_out(b"".join(rows), PACKED, NOW + 5)
    assert later is not None and (later.at, later.address, later.count) == (7 * 16, PACKED, 1)


@pytest.mark.parametrize(
    ("count", "age", "pid", "expected"),
    [
        (1, 0, 0, False),
        (2, 60 * 64 - 1, 32, True),
        (2, 60 * 64, 32, False),
        (2, 91 * 64 - 1, 31, True),
        (10, 91 * 64, 31, False),
        (2, -119, 0, True),
        (2, -120, 0, False),  # the clock has been set back
    ],
)
def test_a_host_is_avoided_for_an_hour_after_two_time_outs(count: int, age: int, pid: int, expected: bool) -> None:
    assert tcpto.avoided(tcpto.Record(0, PACKED, count, NOW - age), NOW, pid) is expected


def test_an_answer_frees_the_record_of_a_host_that_was_looked_up(path: bytes) -> None:
    Path(os.fsdecode(path)).write_bytes(table_with(record(PACKED, 1, NOW)))
    table = tcpto.Table(path)
    table.answered(HOST)
    assert content(path) == table_with(record(PACKED, 1, NOW))  # nobody looked it up
    assert not table.avoids(HOST, NOW, 0)
    table.answered(HOST)
    assert content(path) == table_with(record(PACKED, 0, NOW))


def test_third_try_is_skipped_after_two_time_outs_two_minutes_apart(path: bytes) -> None:
    table = tcpto.Table(path)
    table.timed_out(HOST, NOW)
    assert not table.avoids(HOST, NOW + 121, 0)
    table.timed_out(HOST, NOW + 121)
    assert table.avoids(HOST, NOW + 242, 0)
    assert not table.avoids(OTHER, NOW + 242, 0)
    assert [(r.count, r.when) for r in table.read() if r.count] == [(2, NOW + 121)]
    table.clear()
    assert content(path) == bytes(1024)


def test_a_short_file_means_fewer_records_and_none_means_nothing_is_known(path: bytes) -> None:
    file = Path(os.fsdecode(path))
    file.write_bytes(record(PACKED, 2, NOW) + b"half")
    table = tcpto.Table(path)
    assert table.avoids(HOST, NOW, 0)
    table.timed_out(OTHER, NOW)  # no other record to take: the only one goes
    assert content(path) == record(bytes((192, 0, 2, 2)), 1, NOW) + b"half"
    file.unlink()
    assert not table.avoids(HOST, NOW, 0)
    table.timed_out(HOST, NOW)
    assert not file.exists()


def test_ipv6_addresses_have_no_record(path: bytes) -> None:
    table = tcpto.Table(path)
    table.timed_out(b"2001:db8::1", NOW)
    assert not table.avoids(b"2001:db8::1", NOW, 0)
    assert content(path) == bytes(1024)
