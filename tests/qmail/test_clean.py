"""qmail-clean: one byte for each command."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from qmail import clean
from qmail.core.instance import Instance
from qmail.core.queuedir import OSSIFIED
from tests.support import queues
from tests.support.queues import home as home


def talk(home: Instance, commands: bytes) -> tuple[bytes, int]:
    read_end, write_end = os.pipe()
    pid = queues.start(clean.main, [b"qmail-clean"], {b"QMAILHOME": home.home}, queues._file(commands), write_end)
    status = os.waitpid(pid, 0)[1]
    with open(read_end, "rb") as answers:
        return answers.read(), status


def place(home: Instance, *names: str) -> list[Path]:
    paths = [Path(os.fsdecode(home.queue)) / name for name in names]
    for path in paths:
        path.touch()
    return paths


@pytest.mark.parametrize(
    ("commands", "answers"),
    [
        (b"foop/47\0", b"+"),
        (b"todo/47\0", b"+"),
        (b"foop/\0", b"x"),
        (b"mess/47\0", b"x"),
        (b"foop/1a2b\0", b"x"),  # the original: one x per bad byte, and message 1 is gone
        (b"todoX47\0", b"x"),
        (b"foop/1\0todo/2\0bad\0", b"++x"),
        (b"foop/" + b"0" * 92 + b"47\0", b"+"),
        (b"foop/" + b"0" * 93 + b"47\0", b"x"),
        (b"x" * 300000 + b"\0foop/1\0", b"x+"),
        (b"\0\0", b"xx"),
        (b"foop/1\0todo/2", b"+"),
        (b"", b""),
    ],
)
def test_each_command_gets_one_byte_until_end_of_file(home: Instance, commands: bytes, answers: bytes) -> None:
    assert talk(home, commands) == (answers, 0)


def test_foop_removes_envelope_and_message(home: Instance) -> None:
    place(home, "intd/47", "mess/1/47", "todo/47", "mess/2/48")
    talk(home, b"foop/47\0")
    assert sorted(queues.files(home)) == ["mess", "todo"]


def test_todo_removes_both_links_of_the_envelope(home: Instance) -> None:
    place(home, "intd/47", "mess/1/47", "todo/47")
    talk(home, b"todo/47\0")
    assert sorted(queues.files(home)) == ["mess"]


def test_what_cannot_be_unlinked_is_told_and_the_second_file_stays(home: Instance) -> None:
    os.mkdir(home.queue + b"/intd/50")
    place(home, "mess/4/50")
    assert talk(home, b"foop/50\0") == (b"!", 0)
    assert sorted(queues.files(home)) == ["mess"]


def test_old_files_in_pid_go_at_the_start_and_young_ones_stay(home: Instance) -> None:
    old, young = place(home, "pid/1.2.1", "pid/1.2.2")
    for path, age in ((old, OSSIFIED), (young, OSSIFIED - 60)):
        os.utime(path, (time.time() - age, time.time()))
    talk(home, b"")
    assert not old.exists() and young.exists()


def test_old_envelopes_of_messages_that_are_gone_go_at_the_start(home: Instance) -> None:
    gone, young, queued, receiving = place(home, "intd/46", "intd/47", "intd/48", "intd/49")
    place(home, "todo/48", "mess/3/49")
    for path, age in ((gone, OSSIFIED), (young, OSSIFIED - 60), (queued, OSSIFIED), (receiving, OSSIFIED)):
        os.utime(path, (time.time() - age, time.time()))
    talk(home, b"")
    assert [path.exists() for path in (gone, young, queued, receiving)] == [False, True, True, True]


def test_nobody_to_answer_is_100_and_no_queue_111(home: Instance) -> None:
    env = {b"QMAILHOME": home.home}
    read_end, write_end = os.pipe()
    os.close(read_end)
    pid = queues.start(clean.main, [b"qmail-clean"], env, queues._file(b"foop/1\0"), write_end)
    assert os.waitpid(pid, 0)[1] == 100 << 8
    assert queues.run(clean.main, [b"qmail-clean"], {b"QMAILHOME": b"/nonexistent"}) == 111 << 8
