"""Mail to other hosts: through smtproutes or MX records to Postfix's smtp-sink, and what comes back."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.host import Host, free_ports, holder, host, until
from tests.support.nameserver import NameServer, zone
from tests.support.network import own_address

__all__ = ["host"]

MESSAGE = b"Subject: hello\nFrom: demo@localhost\n\nfirst line\n.\n..dots\nlast line\n"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may serve DNS and SMTP on their own ports")


Taken = tuple[dict[str, list[str]], bytes]


class Sink:
    """Postfix's smtp-sink: `taken` are the messages it got, as (what the client said, message)."""

    def __init__(self, *options: str, address: str = "127.0.0.1", port: int = 0) -> None:
        file = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/sbin:/bin")
        if file is None:
            pytest.skip("smtp-sink (package postfix) is not installed")
        self.port = port or free_ports(1)[0]
        self.address = address
        self.directory = Path(tempfile.mkdtemp(prefix="sink"))  # pytest's own would be closed to nobody
        self.directory.chmod(0o777)
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        argv = [
            file,
            *user,
            "-4",
            "-h",
            "sink.example",
            "-d",
            f"{self.directory}/m.",
            *options,
            f"{address}:{self.port}",
            "10",
        ]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        until(self._answers, 10, lambda: "smtp-sink does not start")

    def _answers(self) -> bool:
        try:
            socket.create_connection((self.address, self.port), 5).close()
        except ConnectionRefusedError:
            assert self.process.poll() is None
            return False
        return True

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(10)
        self._messages = self._read()
        shutil.rmtree(self.directory)

    def taken(self) -> list[Taken]:
        """What it got, once it has been stopped."""
        return self._messages

    def _read(self) -> list[Taken]:
        """Each message: smtp-sink's X-... lines, and what followed its own Received: line, without the empty line at the end."""
        found = []
        for file in sorted(self.directory.iterdir()):
            head, _, message = file.read_bytes().removesuffix(b"\n").partition(b"\nReceived: from ")
            said: dict[str, list[str]] = {}
            for line in head.decode().splitlines():
                name, _, value = line.partition(": ")
                said.setdefault(name, []).append(value)
            found.append((said, re.sub(rb"\A.*\n(?:[ \t].*\n)*", b"", message)))
        return found


def received(message: bytes) -> bytes:
    """A message without the trace lines that our host has put before it."""
    return re.sub(rb"\A(?:Received: .*\n(?:[ \t].*\n)*)*", b"", message)


def settled(host: Host) -> None:
    """Wait until the queue is empty."""
    until(lambda: not host.queued(), 20, lambda: f"{host.queued()} {host.log!r}")


def test_smtproutes_sends_everything_to_one_host(host: Host) -> None:
    with Sink() as sink:
        host.control("smtproutes", f":[127.0.0.1]:{sink.port}\n")
        with host:
            assert host.send(host.address, ["anna@far.example", "bela@farther.example"], MESSAGE) == {}
            host.wait_for(rb"delivery \d+: success: 127.0.0.1_accepted_message./Remote_host_said:_250_.*/\n")
            settled(host)
    taken = sink.taken()
    assert sorted(said["X-Rcpt-Args"] for said, _ in taken) == [["<anna@far.example>"], ["<bela@farther.example>"]]
    for said, message in taken:
        assert said["X-Mail-Args"] == [f"<{host.address}>"]
        assert said["X-Helo-Args"] == ["localhost"]
        assert message.startswith(b"Received: (qmail ")
        assert received(message) == MESSAGE


def test_a_route_with_a_name_and_one_for_a_single_domain(host: Host) -> None:
    with Sink() as one, Sink() as rest:
        host.control("smtproutes", f"one.example:[127.0.0.1]:{one.port}\n:[127.0.0.1]:{rest.port}\n")
        with host:
            host.send(host.address, ["a@one.example", "b@sub.one.example"], MESSAGE)
            settled(host)
    assert [said["X-Rcpt-Args"] for said, _ in one.taken()] == [["<a@one.example>"]]
    assert [said["X-Rcpt-Args"] for said, _ in rest.taken()] == [["<b@sub.one.example>"]]


def bounce(host: Host) -> bytes:
    """The one message in the sender's mailbox, which must be a bounce, from behind its trace lines."""
    (message,) = host.mail()
    assert message.startswith(b"Return-Path: <>\nDelivered-To: demo@localhost\nReceived: (qmail ")
    return received(message.partition(b"Delivered-To: demo@localhost\n")[2])


def assert_is_bounce(text: bytes, paragraphs: bytes, original: bytes) -> None:
    """Spec qmail-queue 7.10."""
    head, _, rest = text.partition(b"\nFrom: ")
    assert re.fullmatch(rb"Date: \d+ \w+ \d+ [\d:]+ -0000", head)
    assert rest.startswith(
        b"MAILER-DAEMON@localhost\nTo: demo@localhost\nSubject: failure notice\n\n"
        b"Hi. This is the qmail-send program at localhost.\n"
        b"I'm afraid I wasn't able to deliver your message to the following addresses.\n"
        b"This is a permanent error; I've given up. Sorry it didn't work out.\n\n"
        + paragraphs
        + b"--- Below this line is a copy of the message.\n\nReturn-Path: <demo@localhost>\nReceived: "
    )
    assert rest.endswith(original)


@pytest.mark.parametrize(
    ("command", "report"),
    [
        ("RCPT", b"127.0.0.1 does not like recipient.\nRemote host said: 500 5.3.0 Error: command failed\n"),
        (
            "MAIL",
            b"Connected to 127.0.0.1 but sender was rejected.\nRemote host said: 500 5.3.0 Error: command failed\n",
        ),
        ("DATA", b"127.0.0.1 failed on DATA command.\nRemote host said: 500 5.3.0 Error: command failed\n"),
        (".", b"127.0.0.1 failed after I sent the message.\nRemote host said: 500 5.3.0 Error: command failed\n"),
    ],
)
def test_what_the_other_host_refuses_comes_back(host: Host, command: str, report: bytes) -> None:
    with Sink("-f", command) as sink:
        host.control("smtproutes", f":[127.0.0.1]:{sink.port}\n")
        with host:
            host.send(host.address, ["anna@far.example"], MESSAGE)
            text = bounce(host)
    if command == "RCPT":
        report += b"Giving up on 127.0.0.1.\n"
    assert_is_bounce(text, b"<anna@far.example>:\n" + report + b"\n", MESSAGE)


@pytest.mark.parametrize("command", ["RCPT", "MAIL", "DATA", "CONNECT"])
def test_what_the_other_host_puts_off_stays_in_the_queue_and_goes_out_later(host: Host, command: str) -> None:
    with Sink("-r", command) as sink:
        host.control("smtproutes", f":[127.0.0.1]:{sink.port}\n")
        with host:
            host.send(host.address, ["anna@far.example"], MESSAGE)
            host.wait_for(rb"delivery \d+: deferral: ")
            until(lambda: kinds(host) == ["info", "mess", "remote"], 20, lambda: f"{host.queued()} {host.log!r}")
            assert os.listdir(host.maildir / "new") == []
    with Sink(port=sink.port) as again:
        (host.home / "queue/lock/tcpto").write_bytes(bytes(1024))
        with host:
            os.kill(holder(host.home / "queue/lock/sendmutex"), signal.SIGALRM)
            settled(host)
    ((_, message),) = again.taken()
    assert received(message) == MESSAGE


def kinds(host: Host) -> list[str]:
    """The kinds of file that the queue has."""
    return [name.partition("/")[0] for name in host.queued()]


@needs_root
def test_mx_records_lead_to_the_best_host_that_answers(host: Host) -> None:
    records = {
        ("far.example", "MX"): ["20 second.far.example.", "10 first.far.example.", "30 third.far.example."],
        ("first.far.example", "A"): ["127.0.0.253"],  # nobody there
        ("second.far.example", "A"): [own_address()],
        ("third.far.example", "A"): ["127.0.0.254"],
        ("plain.example", "A"): [own_address()],
    }
    server = NameServer(zone(records), ip=own_address(), port=53)
    run = host.home / "service/qmail/run"
    run.write_text(run.read_text().replace("env - ", f"env - DNSCACHEIP={own_address()} "))
    with server, Sink(address=own_address(), port=25) as sink, host:
        host.send(host.address, ["anna@far.example", "bela@plain.example"], MESSAGE)
        settled(host)
        assert host.log.count(b" success: ") == 2, host.log
        host.send(host.address, ["anna@nowhere.example", "bela@far.example"], MESSAGE)
        text = bounce(host)
    taken = sink.taken()
    paragraph = b"<anna@nowhere.example>:\nSorry, I couldn't find any host named nowhere.example. (#5.1.2)\n\n"
    assert_is_bounce(text, paragraph, MESSAGE)
    assert sorted(said["X-Rcpt-Args"][0] for said, _ in taken) == [
        "<anna@far.example>",
        "<bela@far.example>",
        "<bela@plain.example>",
    ]
    assert {received(message) for _, message in taken} == {MESSAGE}
    assert ("far.example", "MX") in server.asked


@needs_root
def test_a_name_server_that_knows_nothing_puts_mail_off(host: Host) -> None:
    run = host.home / "service/qmail/run"
    run.write_text(run.read_text().replace("env - ", f"env - DNSCACHEIP={own_address()} "))
    with NameServer(zone({}, rcode=2), ip=own_address(), port=53), host:
        host.send(host.address, ["anna@far.example"], MESSAGE)
        host.wait_for(rb"deferral: Sorry,_I_couldn't_find_any_host_by_that_name._\(#4.1.2\)/\n")
        until(lambda: kinds(host) == ["info", "mess", "remote"], 20, lambda: f"{host.queued()} {host.log!r}")
