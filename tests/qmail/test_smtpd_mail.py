"""A mail through qmail-smtpd: trace line, envelope, size, what the queue program says, the queue itself."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from pathlib import Path

import pytest

from qmail.core import queuetree
from qmail.core.instance import Instance
from tests.support import launchers
from tests.support.smtpdhost import GO, GREETING, OK, REFUSED, START, Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_mail_gets_a_trace_line_and_reaches_the_queue_with_its_envelope(host: Host) -> None:  # 6
    message, envelope = host.taken(
        b"HELO other.name\r\n" + START + b"Subject: t\r\n\r\nhello\r\n..dot\r\n.x\r\n.\r\n", TCPREMOTEINFO="joe user"
    )
    lines = message.split(b"\n")
    assert lines[0] == b"Received: from client.example.net (HELO other.name) (joe?user@192.0.2.7)"
    assert lines[1].startswith(b"  by mx.example.org with SMTP; ") and lines[1].endswith(b" -0000")
    assert lines[2:] == [b"Subject: t", b"", b"hello", b".dot", b"x", b""]
    assert envelope == b"Fa@b.example\0Tx@mail.example.org\0\0"


def test_the_reply_names_time_and_process_of_the_queue(host: Host) -> None:
    now = time.time()
    words = host.replies(START + b".\r\n").removeprefix(OK * 2 + GO).split()
    assert words[:2] == [b"250", b"ok"] and words[3] == b"qp"
    assert now - 1 <= int(words[2]) <= time.time()
    assert int(words[4]) > 1


@pytest.mark.parametrize(
    ("data", "replies"),
    [
        (b"hello\nworld\r\n.\r\n", b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"),  # 11
        (b"hello\r\n.\n", b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"),  # 12
        (b"hello\r\n", b""),  # 14
        (b"x" * 200_000, b""),
    ],
)
def test_half_a_mail_is_never_queued(host: Host, data: bytes, replies: bytes) -> None:
    done = host.talk(START + data)
    assert (done.code, done.out) == (1, GREETING + OK * 2 + GO + replies)
    assert REFUSED.fullmatch(done.err.rstrip(b"\n")) if replies else done.err == b""
    envelope = host.home / "envelope"
    assert not envelope.exists() or envelope.read_bytes() == b""


@pytest.mark.parametrize(
    ("control", "variable", "size", "fits"),
    [("20", None, 20, True), ("20", None, 21, False), ("20", "", 21, True), ("20", "abc", 21, True),
     ("20", "0", 21, True), ("99", "20", 21, False)],
)  # fmt: skip
def test_databytes_limits_a_mail(host: Host, control: str, variable: str | None, size: int, fits: bool) -> None:  # 25
    host.set("databytes", control)
    env = {} if variable is None else {"DATABYTES": variable}
    answer = host.replies(START + b"x" * (size - 1) + b"\r\n.\r\n", **env)
    expected = b"250 ok " if fits else b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"
    assert answer.removeprefix(OK * 2 + GO).startswith(expected)
    assert (host.home / "envelope").read_bytes().endswith(b"\0\0") == fits


@pytest.mark.parametrize(
    ("status", "text", "reply"),
    [
        ("31", "", b"554 mail server permanently rejected message (#5.3.0)\r\n"),
        ("53", "", b"451 qq write error or disk full (#4.3.0)\r\n"),
        ("12", "", b"554 qq permanent problem (#5.3.0)\r\n"),
        ("100", "", b"451 qq temporary problem (#4.3.0)\r\n"),
        ("120", "", b"451 unable to exec qq (#4.3.0)\r\n"),
        ("82", "Dcustom perm", b"554 custom perm\r\n"),
        ("82", "Zcustom temp", b"451 custom temp\r\n"),
        ("82", "xyz", b"451 yz\r\n"),
        ("82", "Dx", b"451 qq temporary problem (#4.3.0)\r\n"),
    ],
)
def test_what_the_queue_program_says_becomes_the_reply(host: Host, status: str, text: str, reply: bytes) -> None:  # 28
    assert host.replies(START + b".\r\n", STATUS=status, TEXT=text) == OK * 2 + GO + reply


def test_a_queue_program_that_is_missing_is_temporary(host: Host) -> None:
    reply = b"451 unable to exec qq (#4.3.0)\r\n"
    assert host.replies(START + b".\r\n", QMAILQUEUE="missing") == OK * 2 + GO + reply
    assert host.replies(START + b".\r\n", QMAILQUEUE="") == OK * 2 + GO + reply


def test_a_mail_of_any_size_takes_no_more_memory(host: Host) -> None:
    reader, writer = os.pipe()
    process = host.start(reader, subprocess.DEVNULL)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (48 << 20, 48 << 20))  # of which the interpreter maps 15
    os.close(reader)
    with open(writer, "wb", buffering=0) as client:
        for piece in (START, *(b"seventy bytes or so of text in a line\r\n" * 1000,) * 1500):
            view = memoryview(piece)
            while view:
                view = view[client.write(view) or 0 :]
        client.write(b".\r\nQUIT\r\n")
    assert process.wait() == 0
    assert (host.home / "message").stat().st_size > 55_000_000


def queued(host: Host) -> list[str]:
    """Every file of a message in the instance's own queue, by its directory."""
    names = ("pid", "intd", "todo", "mess")
    return [name for name in names for _, _, files in os.walk(host.home / "queue" / name) for _ in files]


def test_without_a_queue_program_mail_goes_into_the_queue_itself(host: Host) -> None:
    queuetree.create(Instance(os.fsencode(host.home)))
    del host.env["QMAILQUEUE"]
    assert host.replies(START + b"hello\r\n.\r\n").startswith(OK * 2 + GO + b"250 ok ")
    assert sorted(queued(host)) == ["intd", "mess", "todo"]
    message = next(path for path in (host.home / "queue" / "mess").rglob("*") if path.is_file())
    assert message.read_bytes().endswith(b"\nhello\n")


@pytest.mark.parametrize("data", [b"hello\r\n", b"hello\nworld\r\n.\r\n", b"Received: x\r\n" * 100 + b".\r\n"])
def test_a_mail_that_is_not_accepted_leaves_nothing_in_the_queue(host: Host, data: bytes) -> None:
    queuetree.create(Instance(os.fsencode(host.home)))
    del host.env["QMAILQUEUE"]
    assert host.talk(START + data).code == 1
    assert queued(host) == []


def test_a_flood_of_recipients_ends_at_the_memory_limit(host: Host) -> None:
    (host.home / "in").write_bytes(b"MAIL <>\r\n" + b"RCPT <%b>\r\n" % (b"x" * 800) * 100_000)
    command = f"ulimit -v 80000; exec {launchers.ours('qmail-smtpd')} <in"
    done = launchers.run("/bin/sh", "-c", command, env=host.env, cwd=host.home)
    assert (done.code, done.err) == (1, b"")
    assert done.out.endswith(OK + b"421 out of memory (#4.3.0)\r\n")
