"""qmail-queued: the kernel names the caller, and no caller harms another."""

from __future__ import annotations

import ctypes
import itertools
import operator
import os
import re
import select
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from qmail import queue, queued
from qmail.core import queuedsocket
from qmail.core.instance import Instance
from qmail.queued import Places
from tests.support import queues
from tests.support.queues import home as home

POLL = select.poll
ENVELOPE = b"Fa@b\0Tc@d\0\0"


@pytest.fixture
def server(home: Instance) -> Iterator[int]:
    """A running qmail-queued; its pid."""
    pid, string = start(home)
    yield pid
    os.close(string)
    assert os.waitpid(pid, 0)[1] == 0


def start(home: Instance) -> tuple[int, int]:
    held, string = os.pipe()
    os.set_inheritable(string, False)
    pid = queues.start(queued.main, [b"qmail-queued"], {b"QMAILHOME": home.home}, held, os.open(os.devnull, os.O_RDWR))
    while not can_connect(home):
        os.sched_yield()
    return pid, string


def can_connect(home: Instance) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(os.fsdecode(queuedsocket.path(home))) == 0


def submit(home: Instance, message: bytes, envelope: bytes) -> int:
    fds = queues._file(message), queues._file(envelope)
    try:
        connection = queuedsocket.submit(queuedsocket.path(home), *fds)
    finally:
        for fd in fds:
            os.close(fd)
    return queuedsocket.answer(connection)


@pytest.mark.usefixtures("server")
def test_a_message_is_queued_in_the_name_of_the_caller(home: Instance) -> None:
    assert submit(home, b"body\n", ENVELOPE) == 0
    found = queues.files(home)
    who = (os.getpid(), os.getuid())
    assert re.match(rb"Received: \(qmail %d invoked by uid %d\); .*\nbody\n\Z" % who, found["mess"])
    assert found["todo"] == b"u%d\0p%d\0Fa@b\0Tc@d\0" % (who[1], who[0])


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("envelope", "code", "left"),
    [(b"", 54, []), (b"X\0", 91, ["intd", "mess"]), (b"F" + b"x" * 1003 + b"\0\0", 11, ["intd", "mess"])],
)
def test_codes_and_leftovers_are_those_of_qmail_queue(
    home: Instance, envelope: bytes, code: int, left: list[str]
) -> None:
    assert submit(home, b"body\n", envelope) == code
    assert sorted(queues.files(home)) == left


@pytest.mark.usefixtures("server")
def test_descriptors_that_are_no_message_are_read_errors(home: Instance) -> None:
    directory = os.open(home.home, os.O_RDONLY)
    connection = queuedsocket.submit(queuedsocket.path(home), directory, directory)
    os.close(directory)
    assert queuedsocket.answer(connection) == 54
    with socket.socket(socket.AF_UNIX) as bare:
        bare.connect(os.fsdecode(queuedsocket.path(home)))
        bare.send(b"q")
        assert bare.recv(1) == b"\x36"  # 54
    assert queues.files(home) == {}


@pytest.mark.usefixtures("server")
def test_a_stalled_caller_stops_nobody_else(home: Instance) -> None:
    read_end, write_end = os.pipe()
    stalled = [queuedsocket.submit(queuedsocket.path(home), read_end, read_end) for _ in range(20)]
    assert submit(home, b"body\n", ENVELOPE) == 0
    os.close(write_end)
    assert {queuedsocket.answer(connection) for connection in stalled} == {54}
    os.close(read_end)


@pytest.mark.usefixtures("server")
def test_the_message_of_a_caller_that_dies_is_dropped(home: Instance) -> None:
    read_end, write_end = os.pipe()
    connection = queuedsocket.submit(queuedsocket.path(home), read_end, read_end)
    os.write(write_end, b"half a mess")
    while "mess" not in queues.files(home):
        os.sched_yield()
    connection.close()
    while queues.files(home):
        os.sched_yield()
    os.close(read_end)
    os.close(write_end)


def test_on_sigterm_who_has_called_is_served_and_nobody_else_can_call(home: Instance) -> None:
    pid, string = start(home)
    read_end, write_end = os.pipe()
    envelope = queues._file(ENVELOPE)
    connection = queuedsocket.submit(queuedsocket.path(home), read_end, envelope)
    os.close(read_end)
    os.close(envelope)
    os.kill(pid, signal.SIGTERM)
    while os.path.exists(queuedsocket.path(home)):
        os.sched_yield()
    again, other = start(home)  # the next one need not wait
    os.write(write_end, b"late\n")
    os.close(write_end)
    assert queuedsocket.answer(connection) == 0
    assert os.waitpid(pid, 0)[1] == 0
    os.close(string)
    os.close(other)
    assert os.waitpid(again, 0)[1] == 0
    assert not os.path.exists(queuedsocket.path(home))


class LatePoll:
    """select.poll, before which SIGTERM comes so late that its handler has to wait until the poll is over."""

    def __init__(self) -> None:
        self._real = POLL()
        self.register = self._real.register

    def poll(self) -> list[tuple[int, int]]:
        calls = [(ctypes.CDLL(None).kill, os.getpid(), signal.SIGTERM), (self._real.poll, 20_000)]
        return list(itertools.starmap(operator.call, calls))[1]  # no byte of Python between the two


def test_a_sigterm_just_before_it_waits_is_not_overlooked(home: Instance) -> None:
    began = time.monotonic()
    argv, env = [b"qmail-queued"], {b"QMAILHOME": home.home}
    null = [os.open(os.devnull, os.O_RDWR) for _ in range(2)]
    pid = queues.start(queued.main, argv, env, *null, setup=lambda: setattr(select, "poll", LatePoll))
    assert os.waitpid(pid, 0)[1] == 0
    assert time.monotonic() - began < 15


def test_a_socket_left_by_a_crash_is_replaced(home: Instance) -> None:
    pid, string = start(home)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(string)
    assert queues.run(queue.main, [b"qmail-queue"], {b"QMAILHOME": home.home}, envelope=ENVELOPE) == 0
    with pytest.raises(ConnectionRefusedError):
        submit(home, b"", ENVELOPE)
    pid, string = start(home)
    assert submit(home, b"", ENVELOPE) == 0
    os.close(string)
    os.waitpid(pid, 0)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
@pytest.mark.usefixtures("server")
def test_qmail_queue_of_a_stranger_goes_through_it(home: Instance) -> None:
    os.chmod(home.home, 0o755)
    env = {b"QMAILHOME": home.home}

    def stranger(envelope: bytes) -> int:
        argv = [b"qmail-queue"]
        return queues.run(queue.main, argv, env, message=b"hi\n", envelope=envelope, setup=lambda: os.setuid(65534))

    assert stranger(b"Fa@b") == 54 << 8
    assert queues.files(home) == {}
    assert stranger(ENVELOPE) == 0
    assert b" invoked by uid 65534); " in queues.files(home)["mess"]


def test_no_user_can_take_the_places_of_others() -> None:
    places = Places(100, frozenset((7,)))
    assert sum(places.take(1) for _ in range(100)) == 50
    assert sum(places.take(2) for _ in range(100)) == 25
    assert places.take(3)
    assert sum(places.take(7) for _ in range(100)) == 14  # our own programs, down to a tenth
    assert places.take(4) and not places.idle
    for uid, count in ((1, 50), (2, 25), (3, 1), (7, 14), (4, 1)):
        for _ in range(count):
            places.give_back(uid)
    assert places.idle


def test_hundreds_of_callers_at_once_are_all_served(home: Instance, server: int) -> None:
    assert server > 0
    start_time = time.monotonic()
    empty = os.open(os.devnull, os.O_RDONLY)
    envelopes = [queues._file(ENVELOPE) for _ in range(100)]
    connections = [queuedsocket.submit(queuedsocket.path(home), empty, envelope) for envelope in envelopes]
    for fd in (empty, *envelopes):
        os.close(fd)
    assert {queuedsocket.answer(connection) for connection in connections} == {0}
    assert time.monotonic() - start_time < 30
