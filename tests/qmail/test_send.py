"""qmail-send as a process; the test sits at the other ends of its seven descriptors.  Rows: spec qmail-queue 12.4."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from qmail.core.spawnproto import Command
from tests.support import sender as support
from tests.support.instance import SPLIT, make_instance, pull, queue_message, queue_raw
from tests.support.sender import LOCAL, REMOTE, Sender, Start, files, path

start = support.start
IDLE = b"status: local 0/10 remote 0/20"


def test_a_local_message_is_preprocessed_delivered_and_removed(start: Start) -> None:
    sender = start()
    sender.expect(IDLE)
    n = queue_message(sender.home, b"a@b.example", [b"bela@probe.example.org"])
    sender.expect(
        b"new msg %d" % n,
        b"info msg %d: bytes 17 from <a@b.example> qp %d uid %d" % (n, os.getpid(), os.getuid()),
        b"starting delivery 1: msg %d to local bela@probe.example.org" % n,
        b"status: local 1/10 remote 0/20",
    )
    sender.wait(lambda: bool(sender.cleaned))  # it takes more than a moment, so that it gets files of its own
    assert path(sender.home, "info", n).read_bytes() == b"Fa@b.example\0"
    assert path(sender.home, "local", n).read_bytes() == b"Tbela@probe.example.org\0"
    assert path(sender.home, "local", n).stat().st_mode & 0o777 == 0o600
    command = sender.deliver(LOCAL, b"Kdid 1+0+0\n")
    assert command == Command(0, b"%d/%d" % (n % SPLIT, n), b"a@b.example", b"bela@probe.example.org")
    sender.expect(b"delivery 1: success: did_1+0+0/", IDLE, b"end msg %d" % n)
    sender.wait(lambda: len(sender.cleaned) == 2)
    assert sender.cleaned == [b"todo/%d" % n, b"foop/%d" % n]
    assert not any(files(sender.home, kind) for kind in ("mess", "intd", "todo", "info", "local", "remote"))
    assert sender.terminate() == 0
    sender.expect(b"status: exiting")


def test_the_spawn_programs_limit_counts_when_it_is_lower_and_recipients_take_the_lowest_slot(start: Start) -> None:
    sender = start(local=5, remote=2, concurrencyremote="500")  # rows 22, 23
    recipients = [b"l1@probe.example.org", b"r1@r.example", b"r2@r.example", b"r3@r.example"]
    n = queue_message(sender.home, b"a@b", recipients)
    sender.expect(b"status: local 0/5 remote 0/2")
    assert sender.command(LOCAL) == Command(0, b"%d/%d" % (n % SPLIT, n), b"a@b", b"l1@probe.example.org")
    assert [sender.command(REMOTE).delnum for _ in range(2)] == [0, 1]
    sender.report(REMOTE, b"\x01K\0")
    command = sender.command(REMOTE)
    assert (command.delnum, command.recipient) == (1, b"r3@r.example")
    assert path(sender.home, "remote", n).read_bytes() == b"Tr1@r.example\0Dr2@r.example\0Tr3@r.example\0"


def test_a_failure_is_bounced_to_the_sender_when_all_recipients_are_settled(start: Start) -> None:
    sender = start()
    n = queue_message(sender.home, b"bela@probe.example.org", [b"nouser@probe.example.org", b"perm@remote.example"])
    sender.deliver(REMOTE, b"DRemote host said: 550 nope\n does not like recipient.\nGiving up on 10.0.0.1.\n")
    sender.until(b"delivery 2: failure: Remote_host_said:_550_nope/_does_not_like_recipient./Giving_up_on_10.0.0.1./")
    sender.expect(b"status: local 1/10 remote 0/20")
    sender.deliver(LOCAL, b"DSorry, no mailbox here by that name. (#5.1.1)\n")
    bounce = sender.command(LOCAL)
    assert (bounce.sender, bounce.recipient) == (b"", b"bela@probe.example.org")
    m = int(bounce.messid.partition(b"/")[2])
    text = path(sender.home, "mess", m).read_bytes()
    received, date, rest = text.split(b"\n", 2)
    assert received.startswith(b"Received: (qmail ")
    assert date.startswith(b"Date: ") and date.endswith(b" -0000")
    assert rest == (
        b"From: MAILER-DAEMON@probe.example.org\nTo: bela@probe.example.org\nSubject: failure notice\n\n"
        b"Hi. This is the qmail-send program at probe.example.org.\n"
        b"I'm afraid I wasn't able to deliver your message to the following addresses.\n"
        b"This is a permanent error; I've given up. Sorry it didn't work out.\n\n"
        b"<perm@remote.example>:\nRemote host said: 550 nope\n does not like recipient.\nGiving up on 10.0.0.1.\n\n"
        b"<nouser@probe.example.org>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n"
        b"--- Below this line is a copy of the message.\n\nReturn-Path: <bela@probe.example.org>\nSubject: x\n\nbody\n"
    )
    sender.until(b"end msg %d" % n)
    lines = sender.log.splitlines()
    assert lines[lines.index(b"end msg %d" % n) - 1].startswith(b"bounce msg %d qp " % n)
    sender.wait(lambda: b"info msg %d: bytes %d from <> qp " % (m, len(text)) in sender.log)
    assert not files(sender.home, "bounce")


def test_a_bounce_that_bounces_goes_to_the_postmaster_and_then_to_nobody(start: Start) -> None:
    sender = start(bouncehost="b.example", doublebounceto="db", doublebouncehost="dbl.example", bouncefrom="pm daemon")
    queue_message(sender.home, b"", [b"x@remote.example"])  # row 12
    sender.deliver(REMOTE, b"Dno\n")
    double = sender.command(REMOTE)
    assert (double.sender, double.recipient) == (b"#@[]", b"db@dbl.example")
    m = int(double.messid.partition(b"/")[2])
    text = path(sender.home, "mess", m).read_bytes()
    assert b'\nFrom: "pm daemon"@b.example\nTo: db@dbl.example\n' in text
    assert b"I tried to deliver a bounce message to this address, but the bounce bounced!\n\n<x@remote" in text
    assert b"\n--- Below this line is the original bounce.\n\nReturn-Path: <>\nSubject: x\n" in text
    sender.report(REMOTE, b"%cDno\n\0" % double.delnum)  # row 13
    sender.until(b"triple bounce: discarding bounce/%d" % m)
    sender.expect(b"end msg %d" % m)


def test_reports_nobody_asked_for_and_reports_nobody_understands_do_no_harm(start: Start) -> None:
    sender = start()
    sender.expect(IDLE)
    sender.report(REMOTE, b"\x09Kxx\0" + b"\0\0")  # row 24
    sender.report(LOCAL, b"\xffK\0")
    for _ in range(3):
        sender.expect(b"warning: internal error: delivery report out of range")
    queue_message(sender.home, b"a@b", [b"x@remote.example"])
    sender.deliver(REMOTE, b"Xweird\n")
    sender.until(b"delivery 1: report mangled, will defer")
    sender.expect(IDLE)
    sender.kill(signal.SIGALRM)
    sender.deliver(REMOTE, b"D" + 20000 * b"x")
    sender.until(b"delivery 2: failure: " + 9998 * b"x")


def test_a_message_too_old_is_given_up_with_its_last_deferral(start: Start) -> None:
    sender = start(queuelifetime="100")  # row 20
    n = queue_message(sender.home, b"a@b", [b"x@remote.example"])
    sender.deliver(REMOTE, b"Z451 later\n")
    sender.until(b"delivery 1: deferral: 451_later/")
    sender.expect(IDLE)
    sender.wait(lambda: sender.cleaned == [b"todo/%d" % n])
    old = time.time() - 102
    os.utime(path(sender.home, "info", n), (old, old))
    sender.kill(signal.SIGALRM)
    sender.deliver(REMOTE, b"Z451 later\n")
    sender.until(
        b"delivery 2: failure: 451_later/I'm_not_going_to_try_again;_this_message_has_been_in_the_queue_too_long./"
    )
    assert sender.command(REMOTE).recipient == b"a@b"  # the bounce


def test_term_waits_for_what_is_out_and_keeps_the_schedule_in_the_files_times(start: Start) -> None:
    sender = start(local=5, remote=3)
    n = queue_message(sender.home, b"a@b", [b"x@remote.example", b"y@remote.example"])
    commands = [sender.command(REMOTE) for _ in range(2)]
    sender.until(b"status: local 0/5 remote 2/3")
    birth = int(path(sender.home, "info", n).stat().st_mtime)
    sender.kill(signal.SIGTERM)
    queue_message(sender.home, b"a@b", [b"late@remote.example"])
    for left, command in zip((1, 0), commands, strict=True):  # row 25
        sender.report(REMOTE, b"%cZ\0" % command.delnum)
        sender.expect(b"delivery %d: deferral: " % (2 - left), b"status: local 0/5 remote %d/3 exitasap" % left)
    sender.expect(b"status: exiting")
    assert sender.end() == 0
    times = path(sender.home, "remote", n).stat()
    # Row 26: birth + (isqrt(age) + 20)^2, and the pass started within the message's first seconds.
    assert times.st_mtime in [birth + (20 + step) ** 2 for step in range(4)]
    assert times.st_atime == times.st_mtime
    assert len(files(sender.home, "todo")) == 1


def prepared(home: Path, number: int, when: float, remote: bytes, info: bytes = b"Fs@s\0") -> None:
    """A message in state S5."""
    path(home, "mess", number).write_bytes(b"m")
    path(home, "info", number).write_bytes(info)
    path(home, "remote", number).write_bytes(remote)
    os.utime(path(home, "remote", number), (when, when))


def test_a_restart_takes_up_what_is_due_in_the_order_of_its_time(start: Start, tmp_path: Path) -> None:
    home = make_instance(tmp_path)
    now = time.time()
    prepared(home, 46, now - 5, b"Dx@r\0Ty46@r\0")
    prepared(home, 47, now + 500, b"Ty47@r\0")
    prepared(home, 49, now - 9, b"Ty49@r\0")
    path(home, "mess", 48).write_bytes(b"m")
    path(home, "info", 48).write_bytes(b"Fs@s\0")  # delivered, and then the lights went out
    sender = start()
    assert [sender.command(REMOTE).recipient for _ in range(2)] == [b"y49@r", b"y46@r"]
    sender.until(b"end msg 48")
    sender.kill(signal.SIGALRM)
    assert sender.command(REMOTE).recipient == b"y47@r"


@pytest.mark.parametrize(
    ("remote", "info", "line"),
    [
        (b"Tx@r\0", b"junk\0", b"warning: trouble opening info/8/100; will try again later"),  # row 31
        (b"Tx@r\0", b"Fs@s", b"warning: trouble opening info/8/100; will try again later"),
        (b"Qx@r\0", b"Fs@s\0", b"warning: unknown record type in remote/8/100!"),
    ],
)
def test_a_bad_file_stops_its_own_message_only(
    start: Start, tmp_path: Path, remote: bytes, info: bytes, line: bytes
) -> None:
    home = make_instance(tmp_path)
    prepared(home, 100, 1, remote, info)
    prepared(home, 101, 2, b"Ty@r\0")
    sender = start()
    sender.until(line)
    assert sender.deliver(REMOTE, b"K").recipient == b"y@r"
    sender.until(b"end msg 101")
    assert path(home, "remote", 100).read_bytes() == remote


def test_a_todo_that_makes_no_sense_stays_and_the_next_one_goes_on(start: Start) -> None:
    sender = start()
    bad = queue_raw(sender.home, b"u1\0p2\0Fa@b\0Qx\0", b"xx")  # row 29
    sender.until(b"new msg %d" % bad)
    sender.expect(b"info msg %d: bytes 2 from <a@b> qp 2 uid 1" % bad, b"warning: unknown record type in todo/%d" % bad)
    n = queue_raw(sender.home, b"Fa@b\0", b"m")  # row 30
    sender.until(b"new msg %d" % n)
    sender.until(b"end msg %d" % n)
    assert b"info msg %d: bytes 1 from <a@b> qp 0 uid 0\nend msg" % n in sender.log.replace(
        b"new msg %d\ninfo msg %d: bytes 2 from <a@b> qp 2 uid 1\nwarning: unknown record type in todo/%d\n"
        % (bad, bad, bad),
        b"",
    )
    sender.wait(lambda: len(sender.cleaned) == 2)
    assert sender.cleaned == [b"todo/%d" % n, b"foop/%d" % n]
    assert files(sender.home, "todo") == [str(bad)]


def test_what_qmail_clean_cannot_remove_is_not_delivered(start: Start) -> None:
    sender = start()
    sender.answer = b"!"
    n = queue_message(sender.home, b"a@b", [b"x@r.example", b"y@r.example"])
    sender.until(b"warning: qmail-clean unable to clean up todo/%d" % n)
    sender.answer = b"+"
    pull(sender.home)
    sender.until(b"new msg %d" % n)
    assert sender.deliver(REMOTE, b"K").recipient == b"x@r.example"
    sender.until(b"delivery 1: success: ")


def test_old_leftovers_are_removed_and_younger_ones_are_not(start: Start, tmp_path: Path) -> None:
    home = make_instance(tmp_path)
    now = time.time()
    for number, age in ((100, 129700), (101, 129000), (102, 129700), (103, 129700)):  # row 32
        path(home, "mess", number).write_bytes(b"m")
        os.utime(path(home, "mess", number), (now - age, now - age))
    path(home, "info", 102).write_bytes(b"F\0")
    path(home, "remote", 102).write_bytes(b"Tx@y\0")
    os.utime(path(home, "remote", 102), (now + 999, now + 999))
    (home / "queue" / "mess" / "5" / "not-a-number").touch()
    (home / "queue" / "todo" / "103x").touch()
    sender = start()
    sender.wait(lambda: len(sender.cleaned) == 2)
    assert sender.cleaned == [b"foop/100", b"foop/103"]
    sender.expect(IDLE)
    assert sender.terminate() == 0
    sender.expect(b"status: exiting")


@pytest.mark.parametrize("lost", ["lspawn", "rspawn", "clean"])
def test_the_loss_of_a_partner_ends_it_and_the_message_stays(start: Start, lost: str) -> None:
    sender = start()
    sender.expect(IDLE)
    if lost == "clean":
        sender.close(sender.clean_in, sender.clean_out)
        n = queue_message(sender.home, b"a@b", [b"x@r.example", b"y@r.example"])
        sender.until(b"alert: oh no! lost qmail-clean connection! dying...")
        assert files(sender.home, "todo") == [str(n)]
    else:
        sender.close(sender.report_fds[lost == "rspawn"])
        sender.expect(b"alert: oh no! lost spawn connection! dying...")
    sender.until(b"status: exiting")  # what the disk was being waited for may be told in between
    assert sender.end() == 0


def test_the_log_may_go_and_the_mail_goes_on(start: Start) -> None:
    sender = start()
    sender.expect(IDLE)
    sender.close(sender.log_fd)
    queue_message(sender.home, b"a@b", [b"x@r.example"])
    sender.deliver(REMOTE, b"K")
    sender.wait(lambda: len(sender.cleaned) == 2)


def test_hup_rereads_locals_and_virtualdomains_and_nothing_else(start: Start) -> None:
    sender = start(locals="probe.example.org")
    sender.expect(IDLE)
    control = sender.home / "control"
    (control / "me").write_text("other.example\n")
    (control / "locals").write_text("probe.example.org\nnew.local\n")
    (control / "virtualdomains").write_text("virt.example:tess-v\n")
    sender.kill(signal.SIGHUP)
    queue_message(sender.home, b"a@b", [b"x@new.local", b"y@virt.example", b"plain"])  # row 36
    wanted = [b"x@new.local", b"tess-v-y@virt.example", b"plain@probe.example.org"]
    assert [sender.command(LOCAL).recipient for _ in range(3)] == wanted
    (control / "locals").unlink()
    (control / "locals").mkdir()
    sender.kill(signal.SIGHUP)
    sender.until(b"alert: unable to reread control/locals")
    queue_message(sender.home, b"a@b", [b"x@new.local"])
    assert sender.command(LOCAL).recipient == b"x@new.local"


def test_a_bounce_that_cannot_be_queued_keeps_the_message(start: Start, tmp_path: Path) -> None:
    home = make_instance(tmp_path)
    refuse = tmp_path / "refuse"
    refuse.write_text("#!/bin/sh\nexit 53\n")
    refuse.chmod(0o755)
    sender = start(env={"QMAILQUEUE": str(refuse)})
    n = queue_message(home, b"a@b", [b"x@r.example"])
    sender.deliver(REMOTE, b"Dno\n")
    sender.until(b"warning: trouble injecting bounce message, will try later")  # row 33
    assert files(home, "bounce") == [str(n)]
    assert sender.terminate() == 0
    again = start()
    again.until(b"end msg %d" % n)
    assert again.command(REMOTE).recipient == b"a@b"


def test_a_recipients_file_that_vanishes_is_complained_of(start: Start) -> None:
    sender = start()
    n = queue_message(sender.home, b"a@b", [b"x@r.example"])
    command = sender.command(REMOTE)
    sender.until(b"status: local 0/10 remote 1/20")
    sender.wait(lambda: sender.cleaned == [b"todo/%d" % n])  # it takes so long that it gets one
    path(sender.home, "remote", n).unlink()  # row 35
    sender.report(REMOTE, b"%cKok\n\0" % command.delnum)
    name = b"remote/%d/%d" % (n % SPLIT, n)
    sender.expect(
        b"delivery 1: success: ok/",
        b"warning: trouble marking %b; message will be delivered twice!" % name,
        b"warning: unable to unlink %b; will try again later" % name,
        IDLE,
    )
    assert sender.terminate() == 0
    sender.expect(b"warning: unable to utime %b; message will be retried too soon" % name, b"status: exiting")


def test_one_queue_has_one_qmail_send(start: Start) -> None:
    start().expect(IDLE)
    second = start()
    second.expect(b"alert: cannot start: qmail-send is already running")  # row 27
    assert second.end() == 111


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        ("queue/lock/sendmutex", b"unable to open mutex"),
        ("control/me", b"unable to read controls"),
        ("queue", b"unable to switch to queue directory"),
        (".", b"unable to switch to home directory"),
    ],
)
def test_it_does_not_start_without_what_it_needs(start: Start, tmp_path: Path, missing: str, why: bytes) -> None:
    home = make_instance(tmp_path)
    (home / missing).resolve().rename(tmp_path / "away")
    sender = Sender(home)
    try:
        sender.expect(b"alert: cannot start: " + why)
        assert sender.end() == 111
    finally:
        sender.destroy()


def test_it_does_not_start_without_spawn_programs(start: Start, tmp_path: Path) -> None:
    sender = Sender(make_instance(tmp_path), handshake=False)
    try:
        sender.close(*sender.report_fds)
        sender.expect(b"alert: cannot start: hath the daemon spawn no fire?")
        assert sender.end() == 111
    finally:
        sender.destroy()


def test_new_mail_in_masses_does_not_keep_deliveries_waiting(start: Start) -> None:
    sender = start()
    sender.expect(IDLE)
    sender.kill(signal.SIGSTOP)
    for i in range(300):
        queue_message(sender.home, b"a@b", [b"%d@r.example" % i])
    sender.kill(signal.SIGCONT)
    for _ in range(300):
        sender.deliver(REMOTE, b"K")
    sender.wait(lambda: sender.log.count(b"end msg") == 300)
    lines = sender.log.splitlines()
    first_end = next(i for i, line in enumerate(lines) if line.startswith(b"end msg"))
    last_new = max(i for i, line in enumerate(lines) if line.startswith(b"new msg"))
    assert first_end < last_new
    assert lines[-1].startswith(b"end msg")


def test_todo_that_cannot_be_read_is_complained_of_and_looked_at_again(start: Start) -> None:
    sender = start()
    sender.expect(IDLE)
    todo = sender.home / "queue/todo"
    todo.rename(sender.home / "aside")
    pull(sender.home)
    sender.expect(b"alert: unable to opendir todo, sleeping...")  # row 34
    (sender.home / "aside").rename(todo)
    n = queue_message(sender.home, b"a@b", [b"x@remote.example"])
    sender.deliver(REMOTE, b"K")
    sender.until(b"end msg %d" % n)
