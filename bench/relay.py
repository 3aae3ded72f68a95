"""Messages a second on to another host, which is Postfix's smtp-sink."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import hosts, messages
from bench.table import Table

RECIPIENT = "anna@far.example"
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
        start = time.monotonic()
        with host.sender():
            _until_empty(host.queued)
            table.add("ours", messages.MESSAGES / (time.monotonic() - start))
    return table
