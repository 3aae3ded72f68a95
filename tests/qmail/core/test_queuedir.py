"""The queue's paths, its trigger, and arrivals that go wrong."""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmail.core.instance import Instance
from qmail.core.queuedir import BLOCK, Arrival, Caller, Queue, Refused, Trigger, receive
from tests.support import queues
from tests.support.queues import home as home

CALLER = Caller(1008, 6067, b"by uid 1008")


def arrival(home: Instance) -> Arrival:
    return Arrival(Queue(home.queue), CALLER, b"Received: x\n")


def test_names_are_split_by_23_except_the_flat_ones() -> None:
    queue = Queue(b"/q")
    split = (queue.mess(2196484), queue.info(2196484), queue.local(2196484), queue.remote(2196484))
    assert split == (b"/q/mess/7/2196484", b"/q/info/7/2196484", b"/q/local/7/2196484", b"/q/remote/7/2196484")
    assert (queue.intd(46), queue.todo_name(46), queue.bounce_name(46)) == (b"/q/intd/46", b"todo/46", b"bounce/46")


def test_a_pull_is_seen_until_the_trigger_is_reopened(home: Instance) -> None:
    queue = Queue(home.queue)
    queue.pull_trigger()  # nobody listens: no error
    trigger = Trigger(queue)
    assert not select.select([trigger.fd], [], [], 0)[0]
    for _ in range(2):
        queue.pull_trigger()
        assert select.select([trigger.fd], [], [], 0)[0]
        assert select.select([trigger.fd], [], [], 0)[0]
        trigger.reopen()
        assert not select.select([trigger.fd], [], [], 0)[0]
    trigger.close()


def test_who_pulls_and_is_slow_to_let_go_wakes_twice_and_not_all_the_time(home: Instance) -> None:
    trigger = Trigger(Queue(home.queue))
    hand = os.open(home.queue + b"/lock/trigger", os.O_WRONLY | os.O_NONBLOCK)
    os.write(hand, b"\0")
    assert select.select([trigger.fd], [], [], 0)[0]
    trigger.reopen()
    assert not select.select([trigger.fd], [], [], 0)[0]
    os.close(hand)
    assert select.select([trigger.fd], [], [], 0)[0]
    trigger.reopen()
    assert not select.select([trigger.fd], [], [], 0)[0]
    trigger.close()


def test_without_fifo_the_trigger_is_silent(home: Instance) -> None:
    os.unlink(home.queue + b"/lock/trigger")
    assert Trigger(Queue(home.queue)).fd == -1


def without_unnamed_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system, or a kernel, that has no O_TMPFILE."""
    real_open = os.open

    def no_tmpfile(path: bytes, flags: int, *rest: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not supported")
        return real_open(path, flags, *rest)

    monkeypatch.setattr(os, "open", no_tmpfile)


UNNAMED = ["proc -> mess", "mess", "directory mess", "proc -> intd", "intd", "intd -> todo", "directory todo"]
FROM_PID = ["pid -> mess", "unlink pid", "mess", "directory mess", "intd", "intd -> todo", "directory todo"]


@pytest.mark.parametrize(("unnamed", "order"), [(True, UNNAMED), (False, FROM_PID)])
def test_the_order_of_calls_survives_a_crash_anywhere(
    home: Instance, monkeypatch: pytest.MonkeyPatch, unnamed: bool, order: list[str]
) -> None:
    """Bytes and name of mess last before the envelope, the envelope before todo, todo before success."""
    calls: list[str] = []
    real_fsync, real_link, real_unlink = os.fsync, os.link, os.unlink

    def place(path: bytes) -> str:
        return "proc" if path.startswith(b"/proc/") else os.fsdecode(path)[len(home.queue) + 1 :].split("/")[0]

    def fsync(fd: int) -> None:
        about = os.fstat(fd)
        if stat.S_ISDIR(about.st_mode):
            calls.append("directory " + place(os.readlink(b"/proc/self/fd/%d" % fd)))
        else:
            found = (path for path in Path(os.fsdecode(home.queue)).rglob("*") if path.stat().st_ino == about.st_ino)
            calls.append(place(os.fsencode(next(found))))
        real_fsync(fd)

    def link(source: bytes, target: bytes, **how: int) -> None:
        calls.append(f"{place(source)} -> {place(target)}")
        real_link(source, target, **how)

    def unlink(path: bytes) -> None:
        calls.append("unlink " + place(path))
        real_unlink(path)

    if not unnamed:
        without_unnamed_files(monkeypatch)
    for name, double in (("fsync", fsync), ("link", link), ("unlink", unlink)):
        monkeypatch.setattr(os, name, double)
    receive(arrival(home), [b"body\n"], [b"Fa@b\0\0"])
    assert calls == order
    assert os.listdir(home.queue + b"/pid") == []


def test_small_messages_are_one_write(home: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real_write = os.write

    def write(fd: int, data: bytes) -> int:
        sizes.append(len(data))
        return real_write(fd, data)

    monkeypatch.setattr(os, "write", write)
    receive(arrival(home), [b"x" * 100] * 20, [b"Fa@b\0Tc@d\0\0"])
    assert sizes == [2012, len(b"u1008\0p6067\0Fa@b\0Tc@d\0")]


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_a_failed_fsync_refuses_and_is_never_repeated(
    home: Instance, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    calls = 0

    def fsync(fd: int) -> None:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError(errno.EIO, "lost")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Refused) as refused:
        receive(arrival(home), [b"body\n"], [b"Fa@b\0\0"])
    assert (refused.value.code, calls) == (53, failing)
    # After the last one the message may be on its way already: it stays, and the caller sends it again.
    assert sorted(queues.files(home)) == (["intd", "mess", "todo"] if failing == 4 else [])


def test_a_reader_that_fails_leaves_nothing(home: Instance) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * BLOCK
        raise OSError(errno.EIO, "gone")

    for message, envelope in ((broken(), iter([b"Fa@b\0\0"])), (iter([b"x"]), broken())):
        with pytest.raises(Refused) as refused:
            receive(arrival(home), message, iter([b"F"]) if envelope is None else envelope)
        assert refused.value.code in (54, 91)
    assert "todo" not in queues.files(home)


def test_after_a_day_a_reception_ends_and_leaves_its_files(home: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = arrival(home)
    slow._death -= 24 * 3600
    with pytest.raises(Refused) as refused:
        receive(slow, [b"x"], [b"Fa@b\0\0"])
    assert refused.value.code == 52
    assert list(queues.files(home)) == ["mess"]


def test_what_was_cleaned_up_meanwhile_is_refused(home: Instance) -> None:
    """By a clock that was set forward every reception is old."""

    def message() -> Iterator[bytes]:
        yield b"x"
        os.unlink(Queue(home.queue).mess(slow.n))

    slow = arrival(home)
    with pytest.raises(Refused) as refused:
        receive(slow, message(), [b"Fa@b\0\0"])
    assert refused.value.code == 66
    assert list(queues.files(home)) == ["intd"]


def test_no_descriptor_is_left_open(home: Instance) -> None:
    before = os.listdir("/proc/self/fd")
    receive(arrival(home), [b"x"], [b"Fa@b\0\0"])
    for envelope in (b"", b"X", b"F" + b"x" * 2000):
        with pytest.raises(Refused):
            receive(arrival(home), [b"x"], [envelope])
    arrival(home).discard()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_name_taken_in_pid_is_not_a_number_twice(home: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1.0)
    first = arrival(home)
    leftover = Path(os.fsdecode(home.queue)) / f"pid/{os.getpid()}.1.1"
    leftover.touch()
    second = arrival(home)
    assert first.n != second.n
    for one in (first, second):
        one.discard()
    assert list(queues.files(home)) == ["pid"]


@pytest.mark.parametrize("unnamed", [True, False])
def test_a_number_that_todo_still_names_is_not_taken(
    home: Instance, monkeypatch: pytest.MonkeyPatch, unnamed: bool
) -> None:
    """Else qmail-send, which finds todo/N, would send what is half received to the recipients of that other message."""
    if not unnamed:
        without_unnamed_files(monkeypatch)
    queue = Queue(home.queue)
    real_fstat, stale = os.fstat, list[int]()

    def fstat(fd: int) -> os.stat_result:
        about = real_fstat(fd)
        if stat.S_ISREG(about.st_mode) and not stale:
            stale.append(about.st_ino)
            Path(os.fsdecode(queue.todo(about.st_ino))).write_bytes(b"Fold@x\0Tvictim@y\0")
        return about

    monkeypatch.setattr(os, "fstat", fstat)
    new = arrival(home)
    assert stale and new.n != stale[0]
    assert not os.path.exists(queue.mess(stale[0]))
    receive(new, [b"x"], [b"Fa@b\0\0"])
    assert os.path.exists(queue.todo(new.n))
