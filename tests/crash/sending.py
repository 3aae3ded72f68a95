"""qmail-send itself, in a process of its own, with a qmail-clean of its own; the test plays the spawn programs."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from pathlib import Path

from qmail.clean import main as qmail_clean
from qmail.core.spawnproto import CommandReader, pack_report
from qmail.send import main as send
from tests.crash.interpose import Nth, interposed
from tests.crash.machine import Deliverer
from tests.crash.mail import states
from ucspi.core import chain

DEADLINE = 20.0
QUIET = 0.25  # seconds without an event after which qmail-send waits for nothing but time
HIGH = 200  # the descriptor that the calls are told to


def _pipe() -> tuple[int, int]:
    """A pipe above the descriptors that qmail-send has."""
    ends = os.pipe()
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in ends]
    for fd in ends:
        os.close(fd)
    return high[0], high[1]


def _start(main: chain.Main, name: bytes, home: Path, fds: dict[int, int], nth: Nth | None) -> int:
    def body(argv: list[bytes], env: dict[bytes, bytes], how: chain.Chain) -> int:
        if nth is None:
            return main(argv, env, how)
        write = os.write
        nth.tell = lambda place: (write(HIGH, place.replace("\n", " ").encode() + b"\n"), None)[1]
        with interposed(nth):
            return main(argv, env, how)

    return chain.fork(body, [name], {b"QMAILHOME": os.fsencode(home)}, fds)


# Where a spawn program's commands come from: where its reports go, and how far a command has been read.
Spawns = dict[int, tuple[int, CommandReader]]


def _play(home: Path, pid: int, player: Deliverer, heard: dict[int, bytes], spawns: Spawns) -> None:
    """Be the spawn programs of qmail-send until it dies or rests; what else is `heard` is kept."""
    poll = select.poll()
    for fd in (*heard, *spawns):
        poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + DEADLINE
    while True:
        ready = poll.poll(1000 * QUIET if states(home / "queue") else 20)
        assert time.monotonic() < deadline, heard
        if not ready:
            break
        for fd, _ in ready:
            data = os.read(fd, 65536)
            if not data:
                poll.unregister(fd)
            elif fd in heard:
                heard[fd] += data
            else:
                for command in spawns[fd][1].feed(data):
                    report = pack_report(command.delnum, *player.deliver(command))
                    try:
                        os.write(spawns[fd][0], report)
                    except BrokenPipeError:
                        pass
        if not _alive(pid):
            break


def qmail_send(home: Path, nth: Nth, sink: list[bytes]) -> list[str]:
    """Let it work until it dies or rests, then kill it.  The calls it made; what goes away is added to `sink`."""
    log, to_local, to_remote, to_clean, calls = (_pipe() for _ in range(5))
    from_local, from_remote, from_clean = (_pipe() for _ in range(3))
    for _, write in (from_local, from_remote):
        os.write(write, b"\x05")
    cleaner = _start(qmail_clean, b"qmail-clean", home, {0: to_clean[0], 1: from_clean[1]}, None)
    fds = [log[1], to_local[1], from_local[0], to_remote[1], from_remote[0], to_clean[1], from_clean[0]]
    pid = _start(send, b"qmail-send", home, {**dict(enumerate(fds)), HIGH: calls[1]}, nth)
    for fd in (*fds, to_clean[0], from_clean[1], calls[1]):
        os.close(fd)
    heard = {log[0]: b"", calls[0]: b""}
    spawns = {to_local[0]: (from_local[1], CommandReader()), to_remote[0]: (from_remote[1], CommandReader())}
    _play(home, pid, Deliverer(home, sink.append), heard, spawns)
    if _alive(pid):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    heard[calls[0]] += _rest(calls[0])
    for fd in (*heard, *spawns, from_local[1], from_remote[1]):
        os.close(fd)
    os.waitpid(cleaner, 0)
    assert b"internal error" not in heard[log[0]], heard[log[0]]
    return heard[calls[0]].decode().split("\n")[:-1]


def _rest(fd: int) -> bytes:
    data = b""
    while block := os.read(fd, 65536):
        data += block
    return data


def _alive(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
