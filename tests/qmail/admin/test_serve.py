"""qmail-serve: services come up, come back, go down; and what it says when they do not."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import launchers
from tests.support.host import Host, holder, until

PROGRAM = "qmail-serve"


@pytest.fixture
def host() -> Iterator[Host]:
    directory = tempfile.mkdtemp(prefix="host")
    try:
        with contextlib.closing(Host(Path(directory, "i"))) as host:
            yield host
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def serve(host: Host) -> launchers.Result:
    """Run it where it is going to end by itself."""
    return launchers.run(launchers.ours(PROGRAM), str(host.home), env=host.env)


def running(host: Host) -> list[str]:
    """The command line of every process that lives in this instance."""
    mark = os.fsencode(f"QMAILHOME={host.home}")
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_one_line_says_where_it_serves(host: Host) -> None:
    with host:
        assert host.process is not None and host.process.stdout is not None
        os.set_blocking(host.process.stdout.fileno(), False)
        assert host.process.stdout.read() is None  # READY was all
        assert host.talk(b"QUIT\r\n") == b"220 localhost ESMTP\r\n221 localhost\r\n"
        assert host.talk(b"QUIT\r\n", host.pop3) == b"+OK \r\n+OK \r\n"
    assert not running(host)


@pytest.mark.parametrize(("words", "code"), [([], 100), (["a", "b"], 100), (["/nonexistent"], 111)])
def test_bad_words_and_missing_directories(words: list[str], code: int) -> None:
    done = launchers.run(launchers.ours(PROGRAM), *words)
    assert (done.code, done.out) == (code, b"")
    usage = b"qmail-serve: usage: qmail-serve directory\n"
    assert done.err == (usage if code == 100 else b"qmail-serve: fatal: /nonexistent/service: file does not exist\n")


@pytest.mark.parametrize("listening", [False, True])
@pytest.mark.parametrize("port", ["smtp", "pop3"])
def test_a_port_that_is_taken_is_told_in_one_line_and_nothing_is_started(
    host: Host, port: str, listening: bool
) -> None:
    number = getattr(host, port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", number))
        if listening:
            taken.listen()
        done = serve(host)
    said = f"qmail-serve: fatal: unable to serve on 127.0.0.1:{number}: address already used\n"
    assert (done.code, done.out, done.err) == (111, b"", said.encode())
    assert not running(host)


@pytest.mark.parametrize("spoil", ["defaultdelivery", "concurrencyincoming"])
def test_a_service_that_misses_its_control_file_is_told(host: Host, spoil: str) -> None:
    host.control(spoil, None)
    done = serve(host)
    assert (done.code, done.out) == (111, b"")
    assert b"does not stay up; its log says why\n" in done.err
    assert not running(host)


def test_a_run_script_that_cannot_be_run_is_told(host: Host) -> None:
    (host.home / "service/pop3d/run").chmod(0o644)
    done = serve(host)
    assert (done.code, done.out) == (111, b"")
    assert f"qmail-serve: fatal: {host.home}/service/pop3d/run: access denied\n".encode() in done.err
    assert not running(host)


def leader(port: int) -> int:
    """The pid of the tcpserver on a port: the service's process."""
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_text() if entry.name.isdigit() else ""
            parent = (entry / "stat").read_text().rpartition(") ")[2].split()[1] if str(port) in words else ""
            if "tcpserver" in words and "serve" in Path("/proc", parent, "cmdline").read_text().split()[0]:
                return int(entry.name)
        except (OSError, IndexError):
            continue
    return 0


def test_a_service_that_dies_comes_back(host: Host) -> None:
    with host:
        first = until(lambda: leader(host.smtp), 5, lambda: "no tcpserver")
        os.kill(first, signal.SIGKILL)
        second = until(lambda: leader(host.smtp) not in (0, first) and leader(host.smtp), 10, lambda: repr(host.log))
        assert second != first
        until(lambda: _greets(host.smtp), 10, lambda: repr(host.log))
        assert host.send("a@b.example", [host.address], b"Subject: back\n\n") == {}
        assert len(host.mail()) == 1
    assert not running(host)


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.settimeout(5)
            return client.recv(3) == b"220"
    except OSError:
        return False


def test_the_queue_comes_back_too_and_finds_its_mail(host: Host) -> None:
    with host:
        pid = _send(host)
        os.kill(pid, signal.SIGKILL)
        assert host.send("a@b.example", [host.address], b"Subject: meanwhile\n\n") == {}
        (message,) = host.mail()
        assert message.endswith(b"Subject: meanwhile\n\n")
        assert _send(host) != pid


def _send(host: Host) -> int:
    """The pid of qmail-send, which holds the mutex; who serves says so earlier."""
    return holder(host.home / "queue/lock/sendmutex")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_before_it_is_ready_stops_everything_as_well(host: Host, number: signal.Signals) -> None:
    run = host.home / "service/pop3d/run"
    run.write_text("#!/bin/sh\nexec sleep 1000\n")  # never answers, so it never is ready
    argv = [launchers.ours(PROGRAM), str(host.home)]
    log = host.log_file
    with subprocess.Popen(argv, env=host.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log) as process:
        until(lambda: b"status: local" in host.log, 10, lambda: repr(host.log))
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stdout is not None and process.stdout.read() == b""
    assert not running(host)


@pytest.mark.slow
def test_a_service_that_ignores_sigterm_is_killed(host: Host) -> None:
    stubborn = host.home / "service/stubborn"
    stubborn.mkdir()
    (stubborn / "run").write_text("#!/bin/sh\ntrap '' TERM\necho stubborn is here\nwhile :; do sleep 1000; done\n")
    (stubborn / "run").chmod(0o755)
    with host:
        host.wait_for(rb"stubborn is here")
        started = time.monotonic()
    assert 9 < time.monotonic() - started < 60
    assert not running(host)


def test_dotted_directories_are_no_services(host: Host) -> None:
    (host.home / "service/.svscan").mkdir()
    with host:
        deliver = host.send("a@b.example", [host.address], b"x\n")
        assert deliver == {}
