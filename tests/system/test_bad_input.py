"""What strangers send: the reply of the originals, and no message lost or half queued.

All of it goes through the run scripts of `make run`: softlimit, tcpserver, rblsmtpd, qmail-smtpd and the queue."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.support.host import Host, until
from tests.support.server import WAYS, read_all
from tests.support.wellbeing import (
    BARE,
    BYE,
    GO,
    GREETING,
    LONG,
    MEGABYTE,
    NO_MEMORY,
    OK,
    START,
    STARTED,
    UNKNOWN,
    deliver,
    make,
    quiet,
    status,
)


@pytest.fixture
def host() -> Iterator[Host]:
    """A host of this test's own, not yet started."""
    yield from make("in-process")


@pytest.fixture(scope="module", params=list(WAYS))
def shared(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A host that runs for all tests; one that left anything behind would spoil the next."""
    for made in make(request.param):
        made.control("databytes", "100000\n")
        made.control("timeoutsmtpd", "20\n")
        with made:
            yield made


@pytest.mark.parametrize(
    ("said", "replies", "code"),
    [
        pytest.param(b"", GREETING, 1, id="nothing"),
        pytest.param(b"\r\n\n \r\n\0\r\n", GREETING + UNKNOWN * 4, 1, id="empty lines"),
        pytest.param(b"\xff\xfe\x00\x80garbage" * 50 + b"\r\nQUIT\r\n", GREETING + UNKNOWN + BYE, 0, id="garbage"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", GREETING + UNKNOWN * 3, 1, id="HTTP"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\n", GREETING + UNKNOWN, 1, id="TLS"),
        pytest.param(
            b"RCPT TO:<x>\r\nDATA\r\nMAIL\r\nDATA\r\n",
            GREETING + b"503 MAIL first (#5.5.1)\r\n" * 2 + OK + b"503 RCPT first (#5.5.1)\r\n",
            1,
            id="wrong order",
        ),
        pytest.param(b"MAIL FROM:<" + b"a" * 900 + b">\r\nMAIL <>\r\n", GREETING + LONG + OK, 1, id="long address"),
        pytest.param(b"NOOP\0QUIT\r\nNO\0OP\r\nQUIT\r\n", GREETING + OK + UNKNOWN + BYE, 0, id="NULs"),
        pytest.param(b"NOOP " + b"x" * MEGABYTE + b"\r\nQUIT\r\n", GREETING + OK + BYE, 0, id="a megabyte of NOOP"),
        pytest.param(b"x" * MEGABYTE, GREETING, 1, id="a megabyte without end"),
        pytest.param(b"\0" * MEGABYTE + b"\r\nQUIT\r\n", GREETING + UNKNOWN + BYE, 0, id="a megabyte of NULs"),
        pytest.param(b"x" * 25_000_000 + b"\r\nQUIT\r\n", GREETING + NO_MEMORY, 1, id="more than softlimit leaves"),
        pytest.param(START, STARTED, 1, id="DATA and gone"),
        pytest.param(START + b"Subject: half\r\n\r\nhalf a li", STARTED, 1, id="half a message"),
        pytest.param(START + b"line\r\n.\r", STARTED, 1, id="all but the last byte"),
        pytest.param(START + b"line\r\n.\n", STARTED + BARE, 1, id="a bare LF at the end"),
        pytest.param(START + b"bare\n", STARTED + BARE, 1, id="a bare LF"),
        pytest.param(
            START + b"x" * 100_001 + b"\r\n.\r\nQUIT\r\n",
            STARTED + b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n" + BYE,
            0,
            id="over databytes",
        ),
        pytest.param(
            START + b"x" * MEGABYTE + b"\r\n.\r\nQUIT\r\n",
            STARTED + b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n" + BYE,
            0,
            id="far over databytes, in one line",
        ),
        pytest.param(
            START + b"Received: x\r\n" * 100 + b"\r\n.\r\nQUIT\r\n",
            STARTED + b"554 too many hops, this message is looping (#5.4.6)\r\n" + BYE,
            0,
            id="a hundred hops",
        ),
    ],
)
def test_what_is_no_mail_is_answered_and_leaves_nothing(shared: Host, said: bytes, replies: bytes, code: int) -> None:
    before = quiet(shared)
    assert shared.talk(said) == replies
    assert status(shared, before) == code << 8
    assert shared.queued() == []
    assert os.listdir(shared.maildir / "new") == []


def test_afterwards_the_host_is_as_well_as_before(shared: Host) -> None:
    deliver(shared)


def test_lines_of_any_length_and_any_bytes_are_mail(shared: Host) -> None:
    deliver(shared, b"x" * 90_000 + b"\n")
    deliver(shared, b"\0\0nul\0s\n\xff\xfe\n" + bytes(range(14, 256)) + b"\n")


def test_a_connection_reset_in_the_middle_of_a_message_leaves_nothing(shared: Host) -> None:
    before = quiet(shared)
    with socket.create_connection(("127.0.0.1", shared.smtp), 20) as client:
        client.sendall(START)
        answer = b""
        while not answer.endswith(GO):
            answer += client.recv(1000)
        client.sendall(b"line\r\n")
        until(lambda: any(name.startswith("mess/") for name in shared.queued()), 10, lambda: "nothing begun")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert status(shared, before) == 1 << 8
    assert shared.queued() == []


def test_many_at_a_time_that_all_misbehave_are_followed_by_one_that_does_not(shared: Host) -> None:
    clients = [socket.create_connection(("127.0.0.1", shared.smtp), 20) for _ in range(39)]
    for number, client in enumerate(clients):
        client.sendall((b"", START, START + b"x\r\n", b"\0" * 5000)[number % 4])
    assert shared.send("a@b.example", [shared.address], b"Subject: the one\n\n") == {}
    until(lambda: os.listdir(shared.maildir / "new"), 20, lambda: repr(shared.log))
    for client in clients:
        client.close()
    (message,) = shared.mail()
    assert message.endswith(b"Subject: the one\n\n")


def test_a_megabyte_in_one_line_is_mail(host: Host) -> None:
    with host:
        deliver(host, b"x" * MEGABYTE + b"\n" + b"\0" * MEGABYTE + b"\n")


@pytest.mark.parametrize("said", [b"", b"NOOP", START, START + b"half a line"])
def test_a_client_that_falls_silent_is_told_and_left(host: Host, said: bytes) -> None:
    host.control("timeoutsmtpd", "1\n")
    with host:
        before = quiet(host)
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", host.smtp), 20) as client:
            client.sendall(said)
            answer = read_all(client)
        assert time.monotonic() - started > 0.9
        assert answer == (STARTED if said.startswith(START) else GREETING) + b"451 timeout (#4.4.2)\r\n"
        assert status(host, before) == 1 << 8
        assert host.queued() == []
        deliver(host)


@pytest.mark.parametrize(
    "said",
    [b"", b"\0" * MEGABYTE, b"USER " + b"x" * MEGABYTE + b"\r\n", b"\r\n" * 1000, b"USER demo\r\nPASS \0\r\n"],
    ids=["nothing", "NULs", "long", "empty", "NUL password"],
)
def test_nonsense_at_the_pop3_port_gets_no_further_than_qmail_popup(host: Host, said: bytes) -> None:
    with host:
        before = quiet(host)
        answer = host.talk(said, host.pop3)
        assert status(host, before) == 1 << 8
        assert set(answer.splitlines()[1:]) <= {b"-ERR authorization first", b"+OK ", b"-ERR syntax error"}
        login = f"USER {host.user}\r\nPASS {host.password}\r\nQUIT\r\n".encode()
        assert host.talk(login, host.pop3) == b"+OK \r\n" * 4


def test_the_programs_of_the_chain_say_nothing_to_clients_but_replies(host: Host) -> None:
    """A program that has a bug, or that is missing, leaves its line in the log."""
    run = host.home / "service/smtpd/run"
    run.write_text(run.read_text().replace("  qmail-smtpd", "  ./no-such-program"))
    argv = [str(run)]
    with (
        open(host.home / "log", "wb") as log,
        subprocess.Popen(argv, cwd=run.parent, stdout=log, stderr=log, env=host.env) as server,
    ):
        until(lambda: _connects(host.smtp), 10, lambda: "tcpserver does not start")
        assert host.talk(b"QUIT\r\n") == b""
        server.terminate()
    text = (host.home / "log").read_bytes()
    assert b"rblsmtpd: fatal: unable to run ./no-such-program: file does not exist\n" in text
    assert b"Traceback" not in text


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return False
    return True
