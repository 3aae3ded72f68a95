"""qmail-queue: exit codes, leftovers and file contents, as the original was seen to have them."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from qmail import queue
from qmail.core.instance import Instance
from tests.support import queues
from tests.support.queues import home as home

MESSAGE = b"Subject: x\n\nbody\n"
ENVELOPE = b"Fa@b\0Tbela@probe.example.org\0Tx@y.example\0\0"
RECORDS = ENVELOPE[:-1]
LONG = b"x" * 1002


def run(
    home: Instance,
    message: bytes | None = MESSAGE,
    envelope: bytes | None = ENVELOPE,
    setup: Callable[[], None] | None = None,
) -> int:
    env = {b"QMAILHOME": home.home}
    return queues.run(queue.main, [b"qmail-queue"], env, message=message, envelope=envelope, setup=setup)


def test_a_message_is_queued_with_a_received_line_and_its_envelope(home: Instance) -> None:
    assert run(home) == 0
    found = queues.files(home)
    assert sorted(found) == ["intd", "mess", "todo"]
    line, message = found["mess"].split(b"\n", 1)
    date = rb"\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000"
    trace = re.fullmatch(rb"Received: \(qmail (\d+) invoked by uid %d\); " % os.getuid() + date, line)
    assert trace and message == MESSAGE
    assert found["todo"] == found["intd"] == b"u%d\0p%b\0" % (os.getuid(), trace[1]) + RECORDS


def test_number_links_modes_and_split_are_those_of_the_original(home: Instance) -> None:
    assert run(home, setup=lambda: void(os.umask(0o77))) == 0
    (mess,) = Path(os.fsdecode(home.queue)).glob("mess/*/*")
    about = mess.stat()
    assert (int(mess.name), int(mess.parent.name)) == (about.st_ino, about.st_ino % 23)
    assert (about.st_mode & 0o777, about.st_nlink) == (0o644, 1)
    (todo,) = Path(os.fsdecode(home.queue)).glob("todo/*")
    assert (todo.name, todo.stat().st_nlink, todo.stat().st_mode & 0o777) == (mess.name, 2, 0o644)


def void(_: object) -> None:
    pass


@pytest.mark.parametrize(
    ("envelope", "records"),
    [
        (b"Fa@b\0\0", b"Fa@b\0"),
        (b"F\0Tq@q\0\0junk", b"F\0Tq@q\0"),
        (b"F" + LONG + b"\0T" + LONG + b"\0\0", b"F" + LONG + b"\0T" + LONG + b"\0"),
    ],
)
def test_any_envelope_with_an_end_is_queued_as_it_is(home: Instance, envelope: bytes, records: bytes) -> None:
    assert run(home, envelope=envelope) == 0
    assert queues.files(home)["todo"].endswith(b"\0" + records)


@pytest.mark.parametrize(
    ("message", "envelope", "code", "left"),
    [
        (MESSAGE, b"", 54, []),
        (MESSAGE, b"Fa@b", 54, []),
        (MESSAGE, b"Fa@b\0Tc@d\0", 54, []),
        (MESSAGE, b"Xa@b\0\0", 91, ["intd", "mess"]),
        (MESSAGE, b"Fa@b\0Xc@d\0\0", 91, ["intd", "mess"]),
        (MESSAGE, b"F" + LONG + b"x\0\0", 11, ["intd", "mess"]),
        (MESSAGE, b"Fa@b\0T" + LONG + b"x\0\0", 11, ["intd", "mess"]),
        (None, ENVELOPE, 54, []),
        (MESSAGE, None, 54, []),
        (None, None, 54, []),
    ],
)
def test_refusals_have_their_code_and_leave_what_the_original_leaves(
    home: Instance, message: bytes | None, envelope: bytes | None, code: int, left: list[str]
) -> None:
    assert run(home, message, envelope) == code << 8
    assert sorted(queues.files(home)) == left


@pytest.mark.parametrize(
    ("missing", "code", "left"),
    [
        ("queue/pid", 63, []),
        ("queue/mess", 64, ["pid"]),
        ("queue/intd", 65, ["mess"]),
        ("queue/todo", 66, ["intd", "mess"]),
        ("queue", 62, []),
        ("", 61, []),
        ("queue/lock/trigger", 0, ["intd", "mess", "todo"]),
    ],
)
def test_each_missing_part_of_the_queue_has_its_code(home: Instance, missing: str, code: int, left: list[str]) -> None:
    gone = Path(os.fsdecode(home.home)) / missing
    gone.unlink() if missing.endswith("trigger") else shutil.rmtree(gone)
    assert run(home) == code << 8
    assert sorted(queues.files(home)) == left
    Path(os.fsdecode(home.home)).mkdir(exist_ok=True)


def test_a_directory_is_no_message(home: Instance) -> None:
    directory = os.open(home.home, os.O_RDONLY)
    pid = queues.start(queue.main, [b"qmail-queue"], {b"QMAILHOME": home.home}, directory, queues._file(ENVELOPE))
    assert os.waitpid(pid, 0)[1] == 54 << 8
    assert queues.files(home) == {}


def test_a_file_size_limit_is_a_write_error_and_leaves_nothing(home: Instance) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    assert run(home, message=b"x" * 5000, setup=limit) == 53 << 8
    assert queues.files(home) == {}


@pytest.mark.parametrize(
    ("number", "status", "left"),
    [
        (signal.SIGALRM, 52 << 8, ["mess"]),
        (signal.SIGSEGV, 81 << 8, ["mess"]),
        (signal.SIGABRT, 81 << 8, ["mess"]),
        (signal.SIGTERM, signal.SIGTERM, ["mess"]),
        (signal.SIGINT, 0, ["intd", "mess", "todo"]),
        (signal.SIGHUP, 0, ["intd", "mess", "todo"]),
    ],
)
def test_signals_end_it_or_are_ignored_as_in_the_original(
    home: Instance, number: signal.Signals, status: int, left: list[str]
) -> None:
    read_end, write_end = os.pipe()
    pid = queues.start(
        queue.main,
        [b"qmail-queue"],
        {b"QMAILHOME": home.home},
        read_end,
        queues._file(ENVELOPE),
        lambda: os.close(write_end) if write_end < 3 else None,
    )
    while list(queues.files(home)) != ["mess"]:
        os.sched_yield()  # until it waits for the message
    os.write(write_end, MESSAGE)
    os.kill(pid, number)
    if status == 0:
        os.close(write_end)  # else it may get further than the signal, which a thread of its own awaits
    assert os.waitpid(pid, 0)[1] == status
    assert sorted(queues.files(home)) == left
    if status != 0:
        os.close(write_end)


def test_qmail_send_is_told(home: Instance) -> None:
    trigger = os.open(home.path(b"queue", b"lock", b"trigger"), os.O_RDONLY | os.O_NONBLOCK)
    assert run(home) == 0
    assert os.read(trigger, 10) == b"\0"
    os.close(trigger)


def test_a_large_message_arrives_whole(home: Instance) -> None:
    message = bytes(range(256)) * 4000
    assert run(home, message=message) == 0
    assert queues.files(home)["mess"].split(b"\n", 1)[1] == message


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_a_stranger_without_qmail_queued_gets_a_temporary_error(home: Instance) -> None:
    os.chmod(home.home, 0o755)
    assert run(home, setup=lambda: os.setuid(65534)) == 56 << 8
    assert queues.files(home) == {}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_root_gives_its_messages_to_the_owner_of_the_queue(home: Instance) -> None:
    os.chown(home.queue, 65534, -1)
    assert run(home) == 0
    for kind in ("mess/*/*", "intd/*", "todo/*"):
        (path,) = Path(os.fsdecode(home.queue)).glob(kind)
        assert path.stat().st_uid == 65534
