"""Channels, passes and the wind-up, on a real queue and pipes, without a process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmail.core import logline
from qmail.core.backlog import Backlog
from qmail.core.channel import Channel
from qmail.core.control import Control
from qmail.core.deliveries import Deliveries
from qmail.core.firsttry import FirstTries
from qmail.core.job import Delivery, Job
from qmail.core.queuedir import Queue
from qmail.core.settings import Settings
from qmail.core.spawnproto import CommandReader, pack_report
from tests.support.instance import make_instance

NOW = 1795421158


class Bench:
    """Deliveries with both ends of every pipe in hand."""

    def __init__(self, home: Path, limits: tuple[int, int]) -> None:
        self.home = home
        self.queue = Queue(bytes(home / "queue"))
        self.log_read, self.log_write = os.pipe()
        self.log = logline.Log(self.log_write, self.repair)
        self.pipes = [(*os.pipe(), *os.pipe()) for _ in limits]  # commands: read, write; reports: read, write
        for pipe in self.pipes:
            os.set_blocking(pipe[0], False)
        self.channels = [
            Channel(i, self.pipes[i][1], self.pipes[i][2], limit, self.log) for i, limit in enumerate(limits)
        ]
        self.backlog = Backlog(self.queue, self.log)
        settings = Settings(Control(bytes(home / "control")))
        self.deliveries = Deliveries(
            self.channels,
            self.queue,
            self.backlog,
            FirstTries(self.channels, self.backlog.channels),
            settings,
            self.log,
        )
        self.slept = 0

    def close(self) -> None:
        """Close what it has, and the file of a pass that is under way."""
        passes = [opened.fd for opened in self.deliveries._passes if opened]
        for fd in (self.log_read, self.log_write, *passes, *[fd for pipe in self.pipes for fd in pipe]):
            os.close(fd)

    def repair(self, seconds: float) -> None:
        self.slept += 1
        (self.home / "queue" / "bounce").mkdir(exist_ok=True)

    def lines(self) -> list[bytes]:
        self.log(b"")
        self.log.flush()
        os.set_blocking(self.log_read, False)
        try:
            return os.read(self.log_read, 1 << 20).splitlines()
        except BlockingIOError:
            return []

    def commands(self, channel: int) -> list[tuple[int, bytes]]:
        try:
            data = os.read(self.pipes[channel][0], 1 << 20)
        except BlockingIOError:
            return []
        return [(command.delnum, command.recipient) for command in CommandReader().feed(data)]

    def report(self, channel: int, delnum: int, letter: bytes, text: bytes = b"") -> None:
        os.write(self.pipes[channel][3], pack_report(delnum, letter, text))
        self.deliveries.take_reports(self.channels[channel], NOW)

    def message(self, number: int, remote: bytes) -> Path:
        (self.home / "queue" / "info" / str(number % 23) / str(number)).write_bytes(b"Fs@s\0")
        path = self.home / "queue" / "remote" / str(number % 23) / str(number)
        path.write_bytes(remote)
        self.backlog.channels[1].add(NOW, number)
        return path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(make_instance(tmp_path), (1, 3))
    yield made
    made.close()


def test_recipients_start_in_file_order_as_far_as_there_are_slots(bench: Bench) -> None:
    path = bench.message(5, b"Ta@x\0Db@x\0Tc@x\0Td@x\0Te@x\0")
    bench.deliveries.start_due(NOW)
    assert bench.commands(1) == [(0, b"a@x"), (1, b"c@x"), (2, b"d@x")]
    bench.report(1, 1, b"K")
    bench.deliveries.start_due(NOW)
    assert bench.commands(1) == [(1, b"e@x")]
    assert path.read_bytes() == b"Ta@x\0Db@x\0Dc@x\0Td@x\0Te@x\0"


def test_a_message_with_something_left_goes_back_to_the_schedule_and_one_without_is_done(bench: Bench) -> None:
    first, second = bench.message(5, b"Ta@x\0"), bench.message(6, b"Tb@x\0")
    for number in (5, 6):
        os.utime(bench.home / "queue" / "info" / str(number) / str(number), (NOW - 31, NOW - 31))
    bench.deliveries.start_due(NOW)
    bench.report(1, 0, b"Z", b"later\n")
    bench.report(1, 1, b"K", b"ok\n")
    assert bench.backlog.channels[1].pop() == (NOW - 31 + 625, 5)
    assert bench.backlog.done.pop() == (NOW, 6)
    assert first.exists() and not second.exists()
    assert bench.deliveries.settled


def test_a_held_channel_keeps_its_mail_and_its_schedule(tmp_path: Path) -> None:
    bench = Bench(make_instance(tmp_path), (0, 0))
    bench.message(5, b"Ta@x\0")
    bench.deliveries.start_due(NOW)
    assert bench.commands(1) == []
    assert bench.deliveries.wake(NOW + 99) == NOW + 99
    assert bench.backlog.channels[1].pop() == (NOW, 5)
    bench.close()


def test_a_failure_that_cannot_be_written_down_stops_everything_until_it_can(bench: Bench) -> None:
    (bench.home / "queue" / "bounce").rmdir()  # row 34
    path = bench.message(5, b"Ta@x\0Tb@x\0")
    bench.deliveries.start_due(NOW)
    bench.report(1, 0, b"D", b"no\n")
    assert bench.slept == 1
    assert b"alert: unable to append to bounce message; HELP! sleeping..." in bench.lines()
    assert (bench.home / "queue" / "bounce" / "5").read_bytes() == b"<a@x>:\nno\n\n"
    assert path.read_bytes() == b"Da@x\0Tb@x\0"


def test_a_message_that_cannot_be_opened_waits_two_minutes(bench: Bench) -> None:
    bench.backlog.channels[1].add(NOW, 7)
    bench.deliveries.start_due(NOW)
    assert bench.lines() == [b"warning: trouble opening remote/7/7; will try again later"]
    assert bench.backlog.channels[1].pop() == (NOW + 123, 7)


def test_commands_wait_here_when_the_spawn_program_does_not_read() -> None:
    read, write = os.pipe()
    log = logline.Log(write)
    channel = Channel(1, write, read, 120, log)
    job = Job(1, 5, b"s@s", 0, False)
    recipients = [b"%03d" % i + 5000 * b"x" + b"@y" for i in range(120)]
    for i, recipient in enumerate(recipients):
        channel.start(Delivery(i, job, 0, recipient), b"5/5", b"s@s")
    assert not channel.available
    reader, got = CommandReader(), []
    while channel.unsent:
        channel.flush()
        got.extend(command.recipient for command in reader.feed(os.read(read, 65536)))
    while len(got) < len(recipients):
        got.extend(command.recipient for command in reader.feed(os.read(read, 65536)))
    assert got == recipients
    os.close(read)
    os.close(write)


def test_judging_a_message_follows_its_files(bench: Bench) -> None:
    queue = bench.home / "queue"
    for number in ("9", "11"):
        (queue / "mess" / number / number).touch()
    (queue / "info" / "9" / "9").write_bytes(b"F\0")
    bench.backlog.judge(9, NOW)
    assert bench.backlog.done.pop() == (NOW, 9)
    (queue / "todo" / "9").touch()
    bench.backlog.judge(9, NOW)  # preprocessing was interrupted: not ours yet
    bench.backlog.judge(10, NOW)  # gone
    assert not bench.backlog.done
    (queue / "todo" / "9").unlink()
    for kind, when in (("local", NOW + 5), ("remote", NOW + 7)):
        (queue / kind / "9" / "9").touch()
        os.utime(queue / kind / "9" / "9", (when, when))
    bench.backlog.judge(9, NOW)
    assert [channel.pop() for channel in bench.backlog.channels] == [(NOW + 5, 9), (NOW + 7, 9)]
    (queue / "local" / "11").rename(queue / "local" / "away")
    (queue / "local" / "11").symlink_to("11")  # a loop: neither there nor surely not there
    (queue / "info" / "11" / "11").touch()
    bench.backlog.judge(11, NOW)
    assert bench.lines() == [b"warning: unable to stat local/11/11; will try again later"]
    (queue / "local" / "11").unlink()
    (queue / "local" / "11").mkdir()
    bench.backlog.rejudge(NOW + 122)
    bench.backlog.rejudge(NOW + 123)
    assert bench.backlog.done.pop() == (NOW + 123, 11)
