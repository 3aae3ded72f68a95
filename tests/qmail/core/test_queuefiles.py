"""Preprocessing, marks, bounces and clean-up judgement."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qmail.core import queuefiles
from qmail.core.instance import Instance
from qmail.core.queuedir import OSSIFIED, Queue
from qmail.core.queuefiles import LOCAL, REMOTE
from tests.support.queues import home as home

N = 2196484


@pytest.fixture
def queue(home: Instance) -> Queue:
    return Queue(home.queue)


def write(path: bytes, content: bytes = b"") -> Path:
    file = Path(os.fsdecode(path))
    file.write_bytes(content)
    return file


def queued(queue: Queue, todo: bytes = b"u0\0p6067\0Fa@b\0Tc@d\0Thalf") -> None:
    write(queue.mess(N), b"x" * 85)
    write(queue.todo(N), todo)


def test_a_mark_changes_one_byte_in_place(queue: Queue) -> None:
    file = write(queue.remote(N), b"Ta@b\0Tc@d\0")
    queuefiles.mark_done(queue, REMOTE, N, 5)
    assert file.read_bytes() == b"Ta@b\0Dc@d\0"


def test_bounce_paragraphs_are_appended(queue: Queue) -> None:
    queuefiles.append_bounce(queue, N, b"one\n\n")
    queuefiles.append_bounce(queue, N, b"two\n\n")
    assert Path(os.fsdecode(queue.bounce(N))).read_bytes() == b"one\n\ntwo\n\n"


def test_a_paragraph_that_does_not_last_was_not_appended(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queuefiles.append_bounce(queue, N, b"one\n\n")

    def fsync(fd: int) -> None:
        raise OSError(5, "lost")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="lost"):
        queuefiles.append_bounce(queue, N, b"two\n\n")
    assert Path(os.fsdecode(queue.bounce(N))).read_bytes() == b"one\n\n"


def test_the_next_attempt_outlives_a_restart(queue: Queue) -> None:
    assert queuefiles.next_attempt(queue, LOCAL, N) is None
    write(queue.local(N))
    queuefiles.set_next_attempt(queue, LOCAL, N, 1795421752)
    assert queuefiles.next_attempt(queue, LOCAL, N) == 1795421752


@pytest.mark.parametrize("content", [b"", b"junk\0", b"Fa@b"])
def test_an_info_file_without_sender_is_an_error(queue: Queue, content: bytes) -> None:
    write(queue.info(N), content)
    with pytest.raises(OSError, match="no sender"):
        queuefiles.info(queue, N)


def test_only_numbers_are_messages(queue: Queue) -> None:
    for name in (b"12", b"007", b"x", b"1a", b".1"):
        write(queue.at(b"todo/" + name))
    assert sorted(queuefiles.numbers(queue, b"todo")) == [7, 12]
    with pytest.raises(FileNotFoundError):
        queuefiles.numbers(queue, b"nosuch")


@pytest.mark.parametrize(
    ("age", "beside", "leftover"),
    [
        (OSSIFIED + 1, None, True),
        (OSSIFIED, None, False),
        (OSSIFIED + 1, "info", False),
        (OSSIFIED + 1, "todo", False),
        (OSSIFIED + 1, "intd", True),
    ],
)
def test_only_old_messages_that_nothing_points_at_are_leftovers(
    queue: Queue, age: int, beside: str | None, leftover: bool
) -> None:
    now = 1795421752
    os.utime(write(queue.mess(N)), (now - age, now))
    if beside is not None:
        write(getattr(queue, beside)(N))
    assert queuefiles.is_leftover(queue, N, now) is leftover


@pytest.mark.parametrize("kind", [b"local", b"remote", b"bounce"])
@pytest.mark.parametrize(
    ("age", "beside", "orphan"),
    [
        (OSSIFIED + 1, None, True),
        (OSSIFIED, None, False),
        (-3600, None, False),
        (OSSIFIED + 1, "mess", False),
        (OSSIFIED + 1, "info", False),
        (OSSIFIED + 1, "todo", False),
    ],
)
def test_only_old_files_of_no_message_are_orphans(
    queue: Queue, kind: bytes, age: int, beside: str | None, orphan: bool
) -> None:
    now = 1795421752
    os.utime(write(getattr(queue, kind.decode())(N)), (now, now - age))
    if beside is not None:
        write(getattr(queue, beside)(N))
    assert queuefiles.is_orphan(queue, kind, N, now) is orphan


def test_where_there_is_no_mess_directory_nothing_is_an_orphan(queue: Queue) -> None:
    """It may be a file system that is not mounted yet."""
    os.utime(write(queue.bounce(N)), (0, 0))
    os.utime(write(queue.intd(N)), (0, 0))
    os.rmdir(os.path.dirname(queue.mess(N)))
    assert not queuefiles.is_orphan(queue, b"bounce", N, 1795421752)
    queuefiles.remove_old_envelopes(queue, 1795421752)
    assert os.path.exists(queue.intd(N))


def test_what_cannot_be_judged_stays(queue: Queue) -> None:
    os.utime(write(queue.mess(N)), (0, 0))
    os.rmdir(os.path.dirname(queue.info(N)))
    write(os.path.dirname(queue.info(N)))  # ENOTDIR
    assert not queuefiles.is_leftover(queue, N, 1795421752)


def test_there_is_one_qmail_send(queue: Queue) -> None:
    first = queuefiles.take_mutex(queue)
    with pytest.raises(BlockingIOError):
        queuefiles.take_mutex(queue)
    os.close(first)
    os.close(queuefiles.take_mutex(queue))
