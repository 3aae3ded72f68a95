"""What a queue may be found in, what users write into .qmail files, and what their programs do: it is their mail that
waits or comes back, and no other."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.machine import make_home
from tests.crash.mail import SENDER
from tests.crash.service import MailHost, kill
from tests.support.host import until
from tests.support.instance import SPLIT, pull, queue_message, queue_raw

ADDRESSES = ("bad", "loop", "ping", "pong", "prog", "ro", "gone", "long")
BAD = b"bad@here.example"


@pytest.fixture
def host() -> Iterator[MailHost]:
    """A mail host without SMTP; `box@here.example` has a good mailbox, others what the test gives them."""
    with tempfile.TemporaryDirectory(prefix="bad", ignore_cleanup_errors=True) as name:
        made = MailHost(make_home(Path(name)), ADDRESSES)
        made.services.remove(made.services[1])
        yield made
        made.close()


def box(host: MailHost, folder: str = "Maildir") -> list[bytes]:
    return [path.read_bytes() for path in (host.home / folder / "new").iterdir()]


def wait(host: MailHost, check: Callable[[], object]) -> None:
    until(check, 30, lambda: repr(host.log[-3000:]))


def send(host: MailHost, *to: bytes, text: bytes = b"Subject: x\n\nbody\n") -> int:
    return queue_message(host.home, SENDER, list(to), text)


def others_go_on(host: MailHost) -> None:
    """Mail that has nothing to do with the trouble arrives, and nothing has crashed."""
    before = len(box(host))
    send(host, b"box@here.example")
    wait(host, lambda: len(box(host)) > before)
    assert b"Traceback" not in host.log and b"internal error" not in host.log and b"fatal" not in host.log


def outcome(host: MailHost, to: bytes = BAD) -> tuple[bytes, bytes]:
    """Hand in a message; how its first delivery was reported: success, deferral or failure, and the text."""
    number = send(host, to)
    started = rb"starting delivery (\d+): msg %d to local %b\n" % (number, re.escape(to))
    wait(host, lambda: re.search(started, host.log))
    match = re.search(started, host.log)
    assert match
    report = rb"\ndelivery %b: (\w+): ([^\n]*)\n" % match[1]
    wait(host, lambda: re.search(report, host.log))
    found = re.search(report, host.log)
    assert found
    return found[1], found[2]


# The queue

PLACES = ("todo", "intd", "mess", "info", "local", "remote", "bounce", "pid")


def aside(path: Path) -> None:
    """Out of the way; it lives on, and so its number is not given out again."""
    if path.exists():
        path.rename(
            next(up for up in path.parents if up.name == "queue").with_name("aside." + "-".join(path.parts[-3:]))
        )


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3] if path.exists() else b"Tx@")


def zeros(path: Path) -> None:
    path.write_bytes(bytes(100_000))


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(255, -1, -1)) * 300)


def directory(path: Path) -> None:
    aside(path)
    path.mkdir()


def fifo(path: Path) -> None:
    aside(path)
    os.mkfifo(path)


def unreadable(path: Path) -> None:
    """As unreadable as can be, for root, too."""
    aside(path)
    path.symlink_to(path.name)


def foreign(path: Path) -> None:
    path.with_name("README.txt").write_bytes(b"what is this?\n")
    path.with_name(path.name + "~").write_bytes(b"T\0")
    path.with_name("99999999999999999999999999").write_bytes(b"T\0")


@pytest.mark.parametrize("damage", [empty, cut, zeros, garbage, directory, fifo, unreadable, foreign])
def test_a_bad_file_at_any_place_of_the_queue_stops_nothing_else(
    host: MailHost, damage: Callable[[Path], None]
) -> None:
    queue = host.home / "queue"
    for at, place in enumerate(PLACES):
        new = at < 2  # in todo/ still; else preprocessed
        number = queue_message(host.home, SENDER, [b"box@here.example", b"nobody@here.example", b"far@far.example"])
        split = str(number % SPLIT)
        if not new:
            for kind in ("todo", "intd"):
                (queue / kind / str(number)).unlink()
            (queue / "info" / split / str(number)).write_bytes(b"F%b\0" % SENDER)
            (queue / "local" / split / str(number)).write_bytes(b"Tbox@here.example\0Tnobody@here.example\0")
            (queue / "remote" / split / str(number)).write_bytes(b"Tfar@far.example\0")
        parent = queue / place
        damage((parent / split if (parent / split).is_dir() else parent) / str(number))
    host.qmail.ensure()
    others_go_on(host)
    pull(host.home)
    others_go_on(host)
    wait(host, lambda: len(host.sent()) >= 2)  # what is hurt in bounce/ or pid/ only, gets at least so far


@pytest.mark.parametrize("name", ["tcpto", "trigger"])
@pytest.mark.parametrize("damage", [empty, garbage, directory, unreadable])
def test_a_bad_file_in_lock_stops_nothing(host: MailHost, name: str, damage: Callable[[Path], None]) -> None:
    path = host.home / "queue/lock" / name
    path.unlink()
    damage(path)
    send(host, b"box@here.example", b"far@far.example")
    host.qmail.ensure()
    wait(host, lambda: box(host) and host.sent())


def test_recipients_of_any_bytes_and_any_length_are_tried_and_come_back(host: MailHost) -> None:
    host.qmail.ensure()
    recipients = [
        b"we\nird\t\x80\xff%s@here.example",
        b"x" * 5000 + b"@here.example",
        b"\x1b[2Jnoat",
        b"@@here.example",
    ]
    recipients += [b"../../etc/passwd@here.example", b"-" * 300 + b"@here.example", b"y" * 5000 + b"@far.example"]
    queue_raw(host.home, b"u0\0p1\0F%b\0" % SENDER + b"".join(b"T%b\0" % each for each in recipients))
    wait(host, lambda: box(host, "Bounces"))
    (bounce,) = box(host, "Bounces")
    for each in recipients:
        assert b"<%b" % each.partition(b"@")[0].replace(b"\n", b"_") in bounce, each[:30]
    assert not set(host.log) - set(range(32, 127)) - {10}
    others_go_on(host)


# Users' files


def test_files_that_forward_in_a_circle_end_in_a_bounce(host: MailHost) -> None:
    (host.home / ".qmail-loop").write_text("loop@here.example\n")
    (host.home / ".qmail-ping").write_text("&pong@here.example\n")
    (host.home / ".qmail-pong").write_text("|forward ping@here.example\n")
    host.qmail.ensure()
    for name in (b"loop", b"ping"):
        send(host, name + b"@here.example")
    wait(host, lambda: len(box(host, "Bounces")) == 2)
    assert all(
        b"This message is looping: it already has my Delivered-To line." in text for text in box(host, "Bounces")
    )
    assert host.log.count(b"starting delivery") <= 2 * 4 + 2
    others_go_on(host)


def test_a_file_that_others_may_write_waits(host: MailHost) -> None:
    (host.home / ".qmail-bad").write_text("./Maildir/\n")
    (host.home / ".qmail-bad").chmod(0o646)
    host.qmail.ensure()
    assert outcome(host) == (b"deferral", b"Uh-oh:_.qmail_file_is_writable._(#4.7.0)/")
    others_go_on(host)


def test_a_home_that_is_missing_or_open_waits(host: MailHost) -> None:
    host.qmail.ensure()
    text = b"Unable_to_switch_to_%b/missing:_file_does_not_exist._(#4.3.0)/" % os.fsencode(host.home)
    assert outcome(host, b"gone@here.example") == (b"deferral", text)
    (host.home / "missing").mkdir()
    (host.home / "missing").chmod(0o777)
    report = (b"deferral", b"Uh-oh:_home_directory_is_writable._(#4.7.0)/")
    assert outcome(host, b"gone@here.example") == report
    others_go_on(host)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("./ro/Maildir/", b"Temporary_error_on_maildir_delivery._(#4.3.0)/"),
        ("./ro/mbox", b"Unable_to_open_./ro/mbox:_read-only_file_system._(#4.2.1)/"),
    ],
)
def test_a_mailbox_on_a_disk_that_cannot_be_written_waits(host: MailHost, line: str, said: bytes) -> None:
    disk = host.home / "ro"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)
    try:
        for part in ("tmp", "new", "cur"):
            (disk / "Maildir" / part).mkdir(parents=True)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        (host.home / ".qmail-ro").write_text(line + "\n")
        host.qmail.ensure()
        assert outcome(host, b"ro@here.example") == (b"deferral", said)
        others_go_on(host)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# Users' programs


@pytest.mark.parametrize(
    ("command", "letter", "text"),
    [
        ("kill -9 $$", b"deferral", rb"Aack,_child_crashed\._\(#4\.3\.0\)/"),
        ("kill -9 $PPID; sleep 1", b"deferral", rb"qmail-local_crashed\./"),
        ("yes | head -c 10000000", b"success", rb"(y/)+/?Error_report_too_long,_sorry\./.*"),
        ("yes | head -c 10000000; exit 100", b"failure", rb"(y/)+/?Error_report_too_long,_sorry\./.*"),
        ("echo out; exec >&- 2>&-; exit 1", b"deferral", rb"out/"),
        ("(sleep 0.3; echo late) & exit 0", b"success", rb"did_0\+0\+1/late/|late/did_0\+0\+1/"),
        ("printf '\\0\\033[2J%%s'", b"success", rb""),
        ("exec no-such-program", b"deferral", rb".*not_found.*"),
    ],
)
def test_what_a_program_does_concerns_its_own_delivery(
    host: MailHost, command: str, letter: bytes, text: bytes
) -> None:
    (host.home / ".qmail-bad").write_text(f"|{command}\n")
    host.qmail.ensure()
    kind, said = outcome(host)
    assert kind == letter
    assert re.fullmatch(text, said), said
    assert len(said) < 3100
    others_go_on(host)


def test_programs_that_hang_keep_one_slot_each(host: MailHost) -> None:
    (host.home / ".qmail-bad").write_text("|exec sleep 1000\n")
    host.qmail.ensure()
    for _ in range(9):
        send(host, BAD)
    wait(host, lambda: b"status: local 9/10" in host.log)
    others_go_on(host)
    others_go_on(host)
    for pid in host.processes(host.qmail.sessions):
        kill(pid)


def test_a_program_that_leaves_children_behind_delays_its_own_report_only(host: MailHost) -> None:
    (host.home / ".qmail-bad").write_text("|for i in 1 2 3 4 5 6 7 8 9; do (sleep 0.5; sleep 0.5) & done; exit 0\n")
    host.qmail.ensure()
    number = send(host, BAD)
    wait(host, lambda: b"msg %d to local" % number in host.log)
    others_go_on(host)
    wait(host, lambda: b"end msg %d" % number in host.log)
