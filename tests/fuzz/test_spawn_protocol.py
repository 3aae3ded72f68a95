"""Between qmail-send and the spawn programs, which do not trust each other: any bytes, in any pieces."""

from __future__ import annotations

from qmail.core import remotereport
from qmail.core.spawnproto import REPORT_MAX, CommandReader, ReportReader, pack_command, pack_report
from tests.fuzz.harness import assert_linear, cuts, fuzz, memory_of, same

COMMANDS = (b"\05/28\0", b"\x07", b"s@s\0", b"r@h\0", b"\0", b"\0\0\0\0")
REPORTS = (b"\0Kok\n\0", b"\x07", b"\0", b"Z", b"Dno\0", b"\0\0")


@fuzz(words=COMMANDS, seeds=[b"\x075/28\0s@s\0r@h\0\01/2\0\0@\0"])
def test_commands_are_read_as_packed_and_a_piece_at_the_end_is_none(data: bytes) -> None:
    outcomes = []
    for pieces in cuts(data):
        reader = CommandReader()
        outcomes.append([command for piece in pieces for command in reader.feed(piece)])
    same(outcomes)
    packed = b"".join(pack_command(c.delnum, c.messid, c.sender, c.recipient) for c in outcomes[0])
    assert data.startswith(packed) and data[len(packed) + 1 :].count(b"\0") < 3


def by_definition(data: bytes) -> list[tuple[int, bytes, bytes]]:
    found = []
    while data:
        end = data.find(b"\0", 1)
        if end < 0:
            break
        report, data = data[:end], data[end + 1 :]
        found.append((report[0], report[1:2], report[2:]))
    return found


@fuzz(words=REPORTS, seeds=[b"\0Kok\n\0\x07Zlater\0", b"\0\0\0\0", b"\xffK\0"])
def test_reports_are_read_as_defined(data: bytes) -> None:
    for pieces in cuts(data):
        reader = ReportReader()
        assert [report for piece in pieces for report in reader.feed(piece)] == by_definition(data)


@fuzz(words=REPORTS)
def test_a_report_that_is_packed_is_one_report(data: bytes) -> None:
    (report,) = ReportReader().feed(pack_report(3, b"D", data))
    assert report == (3, b"D", data.partition(b"\0")[0][: REPORT_MAX - 2])


@fuzz(words=(b"r\0", b"h", b"s", b"K", b"Z", b"D", b"\0", b"ok\n\0"), seeds=[b"r\0Kok\n\0", b"htext\n\0DGiving up\n\0"])
def test_whatever_qmail_remote_says_is_one_report(data: bytes) -> None:
    report = remotereport.merge(data)
    assert report[:1] in (b"K", b"Z", b"D") and b"\0" not in report
    if report[:1] == b"K":  # success must have been said, and nothing against it first
        assert data[:1] not in (b"h", b"s") and any(item[:1] == b"K" for item in data.split(b"\0")[:-1])


def test_an_endless_report_takes_no_memory_and_many_commands_linear_time() -> None:
    reader = ReportReader()

    def feed() -> None:
        for _ in range(1000):
            list(reader.feed(b"x" * 65536))

    assert memory_of(feed) < 1 << 20
    assert_linear(lambda n: b"\01/2\0s@s\0r@h\0" * n, lambda data: list(CommandReader().feed(data)), 1000)
