"""Commands and reports between qmail-send and the spawn programs."""

from __future__ import annotations

import pytest

from qmail.core.spawnproto import Command, CommandReader, ReportReader, pack_command, pack_report

COMMANDS = [
    (b"\x075/28\0s@s\0nosuch@probe.example.org\0", [Command(7, b"5/28", b"s@s", b"nosuch@probe.example.org")]),
    (b"\x005/28\0\0a@b\0", [Command(0, b"5/28", b"", b"a@b")]),
    (b"\x00\0\0\0", [Command(0, b"", b"", b"")]),
    (b"\x015/2\0s\0r\0\x01", [Command(1, b"5/2", b"s", b"r")]),
    (b"\x015/2\0s\0r\0\x006/3\0t\0u@v\0", [Command(1, b"5/2", b"s", b"r"), Command(0, b"6/3", b"t", b"u@v")]),
    (b"\xff5/2\0\xff\n\0\x80@\0", [Command(255, b"5/2", b"\xff\n", b"\x80@")]),
    (b"\x015/2\0s\0r", []),
    (b"", []),
]

REPORTS = [
    (b"\x07DSorry.\n\0", [(7, b"D", b"Sorry.\n")]),
    (b"\0K\0", [(0, b"K", b"")]),
    (b"\0Kone\0\0Ztwo\0", [(0, b"K", b"one"), (0, b"Z", b"two")]),
    (b"\x01Ka\nb\n\0\x02", [(1, b"K", b"a\nb\n")]),
    (b"\x05\0\x06K\0", [(5, b"", b""), (6, b"K", b"")]),
    (b"\0\0", [(0, b"", b"")]),
    (b"\x05K", []),
]


@pytest.mark.parametrize(("data", "expected"), COMMANDS)
def test_commands_come_out_the_same_whole_and_byte_by_byte(data: bytes, expected: list[Command]) -> None:
    slow = CommandReader()
    assert list(CommandReader().feed(data)) == expected
    assert [c for i in range(len(data)) for c in slow.feed(data[i : i + 1])] == expected


def test_a_reader_that_is_left_after_one_command_still_has_the_next() -> None:
    reader = CommandReader()
    next(reader.feed(pack_command(1, b"1/1", b"a", b"b") + pack_command(2, b"2/2", b"c", b"d")))
    assert list(reader.feed(b"")) == [Command(2, b"2/2", b"c", b"d")]


@pytest.mark.parametrize(("data", "expected"), REPORTS)
def test_reports_come_out_the_same_whole_and_byte_by_byte(
    data: bytes, expected: list[tuple[int, bytes, bytes]]
) -> None:
    slow = ReportReader()
    assert list(ReportReader().feed(data)) == expected
    assert [r for i in range(len(data)) for r in slow.feed(data[i : i + 1])] == expected


@pytest.mark.parametrize("step", [1, 7, 4096, 30000])
def test_a_report_keeps_its_first_10000_bytes(step: int) -> None:
    data = b"\0D" + b"x" * 20000 + b"\0\x01K\0"
    reader = ReportReader()
    reports = [r for i in range(0, len(data), step) for r in reader.feed(data[i : i + step])]
    assert reports == [(0, b"D", b"x" * 9998), (1, b"K", b"")]


def test_what_is_packed_is_read_back() -> None:
    for delnum in (0, 1, 119):
        command = (delnum, b"14/2196445", b"a b@c", b"tess@\xff.example")
        assert list(CommandReader().feed(pack_command(*command))) == [Command(*command)]
        assert list(ReportReader().feed(pack_report(delnum, b"Z", b"later\n"))) == [(delnum, b"Z", b"later\n")]


def test_a_report_text_ends_at_its_first_nul() -> None:
    assert pack_report(0, b"K", b"ok\0hidden") == b"\0Kok\0"
