"""Many messages: what a long queue costs qmail-send, and what a burst of new mail does to deliveries."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench import hosts, messages
from bench.table import Table, Tables

LENGTHS = (1_000, 10_000, 100_000)
BURST = 20_000
LATER = 86400  # seconds until the queued messages are due
SPLIT = 23


def queued(directory: Path) -> Tables:
    """Time to start, and memory, with messages that wait for their next attempt."""
    time_ = Table("qmail-send: start with a queue", "seconds")
    memory = Table("qmail-send: memory with a queue", "KiB private")
    queue = hosts.Instance(directory).home / "queue"
    have = 0
    for length in LENGTHS:
        _fill(queue, length - have)
        have = length
        seconds, kib = _start(queue.parent)
        time_.add(f"{length:,} messages", seconds)
        memory.add(f"{length:,} messages", kib)
    return Tables([time_, memory])


def _fill(queue: Path, count: int) -> None:
    """Preprocessed messages, each to somebody else: state S5."""
    when = time.time() + LATER
    for _ in range(count):
        new = queue / "pid/new"
        new.write_bytes(b"Subject: x\n\nx\n")
        number = new.stat().st_ino
        split = str(number % SPLIT)
        new.rename(queue / "mess" / split / str(number))
        (queue / "info" / split / str(number)).write_bytes(b"Fsender@example.org\0")
        remote = queue / "remote" / split / str(number)
        remote.write_bytes(b"Tsomebody@remote.example\0")
        os.utime(remote, (when, when))


def _start(home: Path) -> tuple[float, float]:
    """Seconds to the first line of the log, and KiB of private memory then."""
    (log, write_log), (nobody, commands), (reports, write_reports) = os.pipe(), os.pipe(), os.pipe()
    os.write(write_reports, b"xx")  # how many deliveries the spawn programs run at a time, from either
    fds = (write_log, commands, reports, commands, reports, commands, reports)
    high = [os.dup(fd) for fd in fds]
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(high)]
    env = {"PATH": f"{hosts.BIN}:/usr/bin:/bin", "QMAILHOME": str(home)}
    began = time.monotonic()
    pid = os.posix_spawn(hosts.BIN / "qmail-send", ["qmail-send"], env, file_actions=actions)
    try:
        line = os.read(log, 100)
        seconds = time.monotonic() - began
        if not line.startswith(b"status: local 0/"):
            raise RuntimeError(f"qmail-send says {line!r}")
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return seconds, sum(float(line.split()[1]) for line in lines if line.startswith("Private_"))
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        for fd in (log, write_log, nobody, commands, reports, write_reports, *high):
            os.close(fd)


def burst(directory: Path) -> Table:
    """So many messages handed in as fast as they are taken, while deliveries go on."""
    table = Table(f"A burst of {BURST:,} messages, delivered to a Maildir while they come", "messages/s")
    if not hosts.SMTP_SOURCE:
        table.add("accepted", None, "no smtp-source (package postfix)")
        return table
    host = hosts.Instance(directory)
    with host.smtpd(), host.sender():
        began = time.monotonic()
        messages.inject(host.smtp_port, BURST)
        seconds, meanwhile = time.monotonic() - began, len(os.listdir(host.new))
        table.add("accepted", BURST / seconds)
        table.add("delivered while they come", meanwhile / seconds)
        messages.delivered_all(host.new, BURST, 600)
        table.add("delivered, from the first connection to the last file", BURST / (time.monotonic() - began))
        table.add("largest qmail-send", _peak(host.home), "KiB resident at most")
    return table


def _peak(home: Path) -> float | None:
    """VmHWM of the qmail-send that has this queue's mutex."""
    mutex = str((home / "queue/lock/sendmutex").stat().st_ino)
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5].rpartition(":")[2] == mutex:
            status = Path(f"/proc/{words[4]}/status").read_text()
            return next(float(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return None
