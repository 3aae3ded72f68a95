"""Messages a second on to another host, which is Postfix's smtp-sink."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import hosts, messages
from bench.table import Table
from qmail.core.spawnproto import ReportReader, pack_command

RECIPIENT = "anna@far.example"
CONCURRENCY = 20  # concurrencyremote's default
SINK = shutil.which("smtp-sink", path="/usr/sbin")


@contextlib.contextmanager
def _sink() -> Iterator[int]:
    """The port of a host that takes everything."""
    port = hosts.free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with hosts.running([SINK or "smtp-sink", *user, "-4", f"127.0.0.1:{port}", "128"], {}, port):
        yield port


def _until_empty(queued: Callable[[], int], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while left := queued():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{left} messages are queued after {seconds} s")
        time.sleep(0.02)


def _instance(directory: Path, sink: int) -> hosts.Instance:
    host = hosts.Instance(directory)
    (host.home / "control/smtproutes").write_text(f":[127.0.0.1]:{sink}\n")
    host.env["RELAYCLIENT"] = ""
    return host


def relayed(directory: Path) -> Table:
    """From the first connection until all is accepted by the next host."""
    table = Table(f"Messages relayed: {messages.SESSIONS} connections, {messages.SIZE} bytes, smtp-sink", "messages/s")
    if why := messages.missing():
        table.add("Postfix", None, why)
        return table
    with _sink() as sink:
        postfix = hosts.Postfix(directory)
        with postfix.serving(deliver=True, relay=sink):
            start = time.monotonic()
            messages.inject(postfix.smtp_port, recipient=RECIPIENT)
            _until_empty(postfix.queued)
            table.add("Postfix", messages.MESSAGES / (time.monotonic() - start))
        host = _instance(directory, sink)
        with host.smtpd(), host.sender():
            start = time.monotonic()
            messages.inject(host.smtp_port, recipient=RECIPIENT)
            _until_empty(host.queued)
            table.add("ours", messages.MESSAGES / (time.monotonic() - start))
    return table


def sent(directory: Path) -> Table:
    """What is queued already, until all is accepted by the next host."""
    table = Table(f"Messages sent from the queue: {messages.SIZE} bytes, smtp-sink", "messages/s")
    if why := messages.missing():
        table.add("Postfix", None, why)
        return table
    with _sink() as sink:
        postfix = hosts.Postfix(directory)
        with postfix.serving(deliver=False, relay=sink):
            messages.inject(postfix.smtp_port, recipient=RECIPIENT)
            start = time.monotonic()
            postfix.let_go()
            _until_empty(postfix.queued)
            table.add("Postfix", messages.MESSAGES / (time.monotonic() - start))
        host = _instance(directory, sink)
        with host.smtpd():
            messages.inject(host.smtp_port, recipient=RECIPIENT)
        alone = messages.MESSAGES / _rspawn(host)
        start = time.monotonic()
        with host.sender():
            _until_empty(host.queued)
            table.add("ours", messages.MESSAGES / (time.monotonic() - start))
        table.add("ours, qmail-rspawn and qmail-remote without qmail-send", alone)
    return table


def _rspawn(host: hosts.Instance) -> float:
    """Seconds that qmail-rspawn takes to send one message of the queue many times, as qmail-send would have it done."""
    message = next((host.home / "queue/mess").glob("*/*"))
    messid = os.fsencode(message.relative_to(host.home / "queue/mess"))
    argv = [str(hosts.BIN / "qmail-rspawn")]
    with subprocess.Popen(argv, env=host.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin and child.stdout
        commands, reports = child.stdin.fileno(), child.stdout.fileno()
        os.read(reports, 1)  # how many it takes at a time
        reader, waiting, done = ReportReader(), messages.MESSAGES, 0
        free = list(range(CONCURRENCY))
        start = time.monotonic()
        while done < messages.MESSAGES:
            while free and waiting:
                os.write(commands, pack_command(free.pop(), messid, b"sender@localhost", RECIPIENT.encode()))
                waiting -= 1
            for delnum, letter, text in reader.feed(os.read(reports, 65536)):
                if letter != b"K":
                    raise RuntimeError(f"not sent: {text!r}")
                free.append(delnum)
                done += 1
        return time.monotonic() - start
