"""Messages a second: accepted into the queue, and delivered to a Maildir."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from bench import hosts
from bench.table import Table

MESSAGES = 3000
SIZE = 2048
SESSIONS = 10
ROUNDS = 2


def inject(port: int, messages: int = MESSAGES, recipient: str = "demo@localhost") -> float:
    """Seconds that Postfix's smtp-source takes to hand over `messages`, each in a connection of its own."""
    argv = [hosts.SMTP_SOURCE or "smtp-source", "-s", str(SESSIONS), "-m", str(messages), "-l", str(SIZE)]
    argv += ["-f", "sender@localhost", "-t", recipient, f"127.0.0.1:{port}"]
    start = time.monotonic()
    subprocess.run(argv, check=True, capture_output=True)
    return time.monotonic() - start


def delivered_all(new: Path, messages: int, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not new.is_dir() or len(os.listdir(new)) < messages:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(os.listdir(new))} of {messages} delivered after {seconds} s")
        time.sleep(0.02)


def missing() -> str:
    """Why Postfix cannot be measured, if it cannot."""
    if not hosts.SMTP_SOURCE:
        return "no smtp-source (package postfix)"
    return "" if os.geteuid() == 0 else "Postfix can be started by root only"


def accepted(directory: Path) -> Table:
    """By SMTP into the queue; nothing is delivered meanwhile."""
    table = Table(f"Messages accepted: {SESSIONS} connections, {SIZE} bytes, smtp-source", "messages/s")
    if missing():
        table.add("Postfix", None, missing())
        return table
    postfix = hosts.Postfix(directory)
    with postfix.serving(deliver=False):
        table.add("Postfix", MESSAGES / inject(postfix.smtp_port))
    host = hosts.Instance(directory)
    with host.smtpd():
        table.add("ours", MESSAGES / inject(host.smtp_port))
    host.empty()
    return table


def delivered(directory: Path) -> Table:
    """From the first connection to the last file in Maildir/new."""
    table = Table(f"Messages delivered to a Maildir: {SESSIONS} connections, {SIZE} bytes", "messages/s")
    if missing():
        table.add("Postfix", None, missing())
        return table
    postfix, host = hosts.Postfix(directory), hosts.Instance(directory)
    theirs, ours = 0.0, 0.0
    for round_ in range(ROUNDS):
        # In turn, and each once the first: what a disk does depends on what it has just done.
        for whose in (0, 1) if round_ % 2 == 0 else (1, 0):
            if whose == 0:
                with postfix.serving(deliver=True):
                    theirs += _through(postfix.smtp_port, postfix.new)
            else:
                with host.smtpd(), host.sender():
                    ours += _through(host.smtp_port, host.new)
                host.empty()
    table.add("Postfix", ROUNDS * MESSAGES / theirs)
    table.add("ours", ROUNDS * MESSAGES / ours)
    return table


def _through(port: int, new: Path) -> float:
    """Seconds from the first connection to the last file in `new`."""
    start = time.monotonic()
    inject(port)
    delivered_all(new, MESSAGES)
    return time.monotonic() - start
