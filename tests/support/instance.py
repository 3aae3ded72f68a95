"""A mail instance in a temporary directory: control files and an empty queue, all owned by whoever runs the test."""

from __future__ import annotations

import os
from pathlib import Path

SPLIT = 23


def make_instance(tmp_path: Path, **control: str | bytes) -> Path:
    """Make an instance below `tmp_path` and return its home.

    Each keyword is a control file; `me` is `probe.example.org` unless given.  The queue directory is not qmailq's, so
    this is a single-user instance, also for root."""
    home = tmp_path / "qmail"
    (home / "control").mkdir(parents=True)
    for name, value in {"me": "probe.example.org", **control}.items():
        data = value.encode() if isinstance(value, str) else value
        (home / "control" / name).write_bytes(data if not data or data.endswith(b"\n") else data + b"\n")
    (home / "users").mkdir()
    (home / "alias").mkdir()
    make_queue(home / "queue")
    return home


def make_queue(queue: Path) -> None:
    """Make an empty queue: spec qmail-queue 2.1, without the accounts."""
    for name in ("pid", "intd", "todo", "bounce", "lock"):
        (queue / name).mkdir(parents=True)
    for name in ("mess", "info", "local", "remote"):
        for split in range(SPLIT):
            (queue / name / str(split)).mkdir(parents=True)
    (queue / "lock" / "sendmutex").touch()
    (queue / "lock" / "tcpto").write_bytes(bytes(1024))
    os.mkfifo(queue / "lock" / "trigger", 0o622)
    os.chmod(queue / "lock" / "trigger", 0o622)  # whatever the umask: anybody may wake qmail-send


def queue_message(home: Path, sender: bytes, recipients: list[bytes], message: bytes = b"Subject: x\n\nbody\n") -> int:
    """Put a message into the queue, state S4, as qmail-queue leaves it; return its number."""
    envelope = b"u%d\0p%d\0F%b\0" % (os.getuid(), os.getpid(), sender)
    return queue_raw(home, envelope + b"".join(b"T%b\0" % r for r in recipients), message)


def queue_raw(home: Path, todo: bytes, message: bytes = b"Subject: x\n\nbody\n") -> int:
    """As queue_message, with any bytes for todo/N."""
    queue = home / "queue"
    new = queue / "pid" / "new"
    new.write_bytes(message)
    number = new.stat().st_ino
    new.rename(queue / "mess" / str(number % SPLIT) / str(number))
    (queue / "intd" / str(number)).write_bytes(todo)
    os.link(queue / "intd" / str(number), queue / "todo" / str(number))
    pull(home)
    return number


def pull(home: Path) -> None:
    """Pull the trigger, if anybody listens."""
    try:
        fd = os.open(home / "queue" / "lock" / "trigger", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        os.write(fd, b"\0")
    except BrokenPipeError:
        pass  # just being reopened: it wakes all the same
    os.close(fd)
