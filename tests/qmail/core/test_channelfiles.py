"""Preprocessing of one message's files."""

from __future__ import annotations

import os

import pytest

from qmail.core import queuefiles
from qmail.core.channelfiles import Preprocessing, Trouble
from qmail.core.instance import Instance
from qmail.core.queuedir import Queue
from qmail.core.queuefiles import REMOTE
from tests.qmail.core.test_queuefiles import N, queued, write
from tests.qmail.core.test_queuefiles import queue as queue
from tests.support import queues
from tests.support.queues import home as home


def test_preprocessing_writes_info_and_only_channels_with_recipients(home: Instance, queue: Queue) -> None:
    queued(queue)
    write(queue.local(N), b"Told@leftover\0")
    work = Preprocessing(queue, N)
    assert work.size == 85
    assert list(work.records()) == [b"u0", b"p6067", b"Fa@b", b"Tc@d"]
    work.sender(b"a@b")
    work.recipient(REMOTE, b"c@d")
    work.recipient(REMOTE, b"e@f")
    work.end()
    for _, sync in work.syncs():
        sync()
    work.check(())
    assert work.channels == [REMOTE]
    work.close()
    found = queues.files(home)
    assert (found["info"], found["remote"], "local" in found) == (b"Fa@b\0", b"Tc@d\0Te@f\0", False)
    assert os.stat(queue.info(N)).st_mode & 0o777 == 0o600
    assert queuefiles.info(queue, N)[0] == b"a@b"


@pytest.mark.parametrize(
    ("break_it", "text"),
    [
        (lambda queue: os.unlink(queue.todo(N)), b"unable to open todo/2196484"),
        (lambda queue: os.unlink(queue.mess(N)), b"unable to stat mess/7/2196484"),
        (lambda queue: os.mkdir(queue.local(N)), b"unable to unlink local/7/2196484"),
        (lambda queue: os.rmdir(os.path.dirname(queue.info(N))), b"unable to create info/7/2196484"),
        (lambda queue: (os.unlink(queue.todo(N)), os.mkdir(queue.todo(N))), b"trouble reading todo/2196484"),
    ],
)
def test_trouble_names_the_file_as_the_log_shows_it(queue: Queue, break_it: object, text: bytes) -> None:
    queued(queue)
    assert callable(break_it)
    break_it(queue)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Trouble) as trouble:
        work = Preprocessing(queue, N)
        try:
            list(work.records())
        finally:
            work.close()
    assert trouble.value.text == text
    assert len(os.listdir("/proc/self/fd")) == before
