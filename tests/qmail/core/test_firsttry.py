"""Mail for one recipient, which qmail-send delivers straight from todo/.  The test plays the programs around it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from qmail.core import queuefiles
from tests.support.instance import pull, queue_message
from tests.support.sender import LOCAL, REMOTE, Sender, Start, files, path
from tests.support.sender import start as start

TO = b"bela@probe.example.org"
FAR = b"anna@far.example"
CHANNELS = pytest.mark.parametrize(("channel", "to"), [(LOCAL, TO), (REMOTE, FAR)], ids=["local", "remote"])
KINDS = ("mess", "intd", "todo", "info", "local", "remote", "bounce")


def there(home: Path) -> list[str]:
    """The kinds of file that the queue has."""
    return [kind for kind in KINDS if files(home, kind)]


def idle(sender: Sender) -> None:
    """Started, and with nothing to do."""
    sender.expect(b"status: local 0/10 remote 0/20")


@CHANNELS
def test_what_is_delivered_at_once_never_has_files_but_those_it_came_with(
    start: Start, channel: int, to: bytes
) -> None:
    sender = start()
    idle(sender)
    n = queue_message(sender.home, b"a@b.example", [to])
    command = sender.command(channel)
    assert (command.sender, command.recipient) == (b"a@b.example", to)
    assert there(sender.home) == ["mess", "intd", "todo"]
    assert sender.cleaned == []
    sender.report(channel, b"%cKdid 1+0+0\n\0" % command.delnum)
    sender.until(b"end msg %d" % n)
    sender.wait(lambda: len(sender.cleaned) == 2)
    assert sender.cleaned == [b"todo/%d" % n, b"foop/%d" % n]
    assert there(sender.home) == []
    assert sender.terminate() == 0


@CHANNELS
def test_a_deferral_waits_for_its_time_as_any_other(start: Start, channel: int, to: bytes) -> None:
    sender = start()
    idle(sender)
    n = queue_message(sender.home, b"a@b.example", [to])
    sender.deliver(channel, b"Zlater\n")
    sender.wait(lambda: sender.cleaned == [b"todo/%d" % n])
    kind = ("local", "remote")[channel]
    assert there(sender.home) == ["mess", "info", kind]
    assert path(sender.home, "info", n).read_bytes() == b"Fa@b.example\0"
    assert path(sender.home, kind, n).read_bytes() == b"T%b\0" % to
    assert sender.terminate() == 0
    birth = int(path(sender.home, "info", n).stat().st_mtime)
    wait = (100, 400)[channel]
    # The attempt may have begun a second or two before the file was written, which is the message's birth.
    assert birth + wait - 2 <= int(path(sender.home, kind, n).stat().st_mtime) <= birth + wait


def test_an_alarm_that_comes_before_a_deferral_is_noted_counts_for_it_as_well(start: Start) -> None:
    sender = start()
    idle(sender)
    queue_message(sender.home, b"a@b.example", [FAR])
    sender.deliver(REMOTE, b"Zlater\n")
    sender.until(b"delivery 1: deferral: later/")
    sender.kill(signal.SIGALRM)
    sender.deliver(REMOTE, b"Kdid\n")
    sender.until(b"delivery 2: success: did/")


def test_a_failure_is_bounced(start: Start) -> None:
    sender = start()
    idle(sender)
    n = queue_message(sender.home, b"bela@probe.example.org", [b"nobody@probe.example.org"])
    sender.deliver(LOCAL, b"Dno such mailbox\n")
    sender.until(b"delivery 1: failure: no_such_mailbox/")
    bounce = sender.command(LOCAL)
    assert (bounce.sender, bounce.recipient) == (b"", b"bela@probe.example.org")
    text = (sender.home / "queue/mess" / os.fsdecode(bounce.messid)).read_bytes()
    assert b"\n<nobody@probe.example.org>:\nno such mailbox\n\n--- Below" in text
    sender.until(b"end msg %d" % n)
    sender.report(LOCAL, b"%cK\0" % bounce.delnum)
    sender.wait(lambda: there(sender.home) == [])


def test_a_report_without_sense_defers(start: Start) -> None:
    sender = start()
    idle(sender)
    n = queue_message(sender.home, b"a@b.example", [TO])
    sender.deliver(LOCAL, b"?what\n")
    sender.until(b"delivery 1: report mangled, will defer")
    sender.wait(lambda: sender.cleaned == [b"todo/%d" % n])
    assert there(sender.home) == ["mess", "info", "local"]


def test_a_report_that_comes_while_the_files_are_made_to_last_is_noted_in_them(start: Start) -> None:
    sender = start(concurrencylocal="2")
    sender.expect(b"status: local 0/2 remote 0/20")
    numbers = [queue_message(sender.home, b"a@b.example", [TO]) for _ in range(3)]
    commands = [sender.command(LOCAL) for _ in range(2)]
    sender.wait(lambda: len(sender.cleaned) == 3)  # two that take too long, and one that waits too long
    assert sorted(sender.cleaned) == sorted(b"todo/%d" % n for n in numbers)
    assert there(sender.home) == ["mess", "info", "local"]
    sender.report(LOCAL, b"%cKdid\n\0%cZnot yet\n\0" % (commands[0].delnum, commands[1].delnum))
    third = sender.command(LOCAL)
    assert {each.messid for each in (*commands, third)} == {b"%d/%d" % (n % 23, n) for n in numbers}
    sender.report(LOCAL, b"%cKdid\n\0" % third.delnum)
    deferred = commands[1].messid.partition(b"/")[2].decode()
    sender.wait(lambda: files(sender.home, "mess") == [deferred])
    assert files(sender.home, "local") == files(sender.home, "info") == [deferred]


def test_todo_that_cannot_be_removed_does_not_repeat_the_delivery(start: Start) -> None:
    sender = start()
    idle(sender)
    sender.answer = b"!"
    n = queue_message(sender.home, b"a@b.example", [TO])
    sender.deliver(LOCAL, b"Kdid\n")
    sender.until(b"warning: qmail-clean unable to clean up todo/%d" % n)
    sender.answer = b"+"
    m = queue_message(sender.home, b"a@b.example", [TO])  # makes it look into todo/ again
    assert sender.deliver(LOCAL, b"Kdid\n").messid == b"%d/%d" % (m % 23, m)
    sender.until(b"end msg %d" % m)
    assert files(sender.home, "todo") == [str(n)]
    assert sender.terminate() == 0
    assert sender.log.count(b"starting delivery") == 2


def test_what_fails_and_cannot_be_preprocessed_is_not_delivered_again_before_it_can(start: Start) -> None:
    sender = start()
    idle(sender)
    n = queue_message(sender.home, b"a@b.example", [TO])
    command = sender.command(LOCAL)
    directory = path(sender.home, "info", n).parent
    directory.rename(sender.home / "aside")
    sender.report(LOCAL, b"%cZlater\n\0" % command.delnum)
    sender.until(b"warning: unable to create info/%d/%d" % (n % 23, n))
    pull(sender.home)
    sender.until(b"warning: unable to create info/%d/%d" % (n % 23, n))
    assert sender.commands[LOCAL] == []
    (sender.home / "aside").rename(directory)
    pull(sender.home)
    sender.wait(lambda: sender.cleaned == [b"todo/%d" % n])
    sender.deliver(LOCAL, b"Kdid\n")
    sender.until(b"end msg %d" % n)


def test_the_same_when_it_only_takes_too_long(start: Start) -> None:
    sender = start()
    idle(sender)
    n = queue_message(sender.home, b"a@b.example", [TO])
    command = sender.command(LOCAL)
    directory = path(sender.home, "info", n).parent
    directory.rename(sender.home / "aside")
    sender.until(b"warning: unable to create info/%d/%d" % (n % 23, n))
    sender.report(LOCAL, b"%cKdid\n\0" % command.delnum)
    sender.until(b"delivery 1: success: did/")
    (sender.home / "aside").rename(directory)
    pull(sender.home)
    sender.deliver(LOCAL, b"Kdid again\n")  # nothing said that it need not be
    sender.until(b"end msg %d" % n)
    sender.wait(lambda: there(sender.home) == [])


def test_files_of_an_earlier_try_are_replaced_before_anything_is_delivered(start: Start, tmp_path: Path) -> None:
    first = start()
    idle(first)
    first.terminate()
    n = queue_message(first.home, b"a@b.example", [TO])
    path(first.home, "info", n).write_bytes(b"Fsomebody@else.example\0")
    path(first.home, "remote", n).write_bytes(b"Tother@remote.example\0")
    sender = start()
    assert sender.deliver(LOCAL, b"Kdid\n").sender == b"a@b.example"
    sender.until(b"end msg %d" % n)
    assert sender.cleaned[0] == b"todo/%d" % n
    sender.wait(lambda: there(sender.home) == [])


def test_term_leaves_nothing_delivered_to_be_delivered_again(start: Start) -> None:
    sender = start()
    idle(sender)
    numbers = [queue_message(sender.home, b"a@b.example", [TO]) for _ in range(5)]
    commands = [sender.command(LOCAL) for _ in numbers]
    sender.kill(15)
    sender.report(LOCAL, b"".join(b"%cKdid\n\0" % each.delnum for each in commands[:-1]))
    sender.report(LOCAL, b"%cZlater\n\0" % commands[-1].delnum)
    assert sender.end() == 0
    assert files(sender.home, "mess") == [commands[-1].messid.partition(b"/")[2].decode()]


def test_new_mail_however_much_does_not_keep_a_delivery_waiting(start: Start) -> None:
    """Slots are filled between slices of new mail: never more than two of those are logged before the next delivery."""
    first = start(concurrencylocal="0")
    first.expect(b"status: local 0/0 remote 0/20")
    waiting = queue_message(first.home, b"old@b.example", [TO, b"second@probe.example.org"])
    first.wait(lambda: bool(first.cleaned))
    first.terminate()
    for _ in range(400):
        queue_message(first.home, b"new@b.example", [b"r@remote.example", b"s@remote.example"])
    (first.home / "control/concurrencylocal").write_text("1\n")
    sender = start()
    old = b"%d/%d" % (waiting % 23, waiting)
    for address in (TO, b"second@probe.example.org"):
        assert (command := sender.deliver(LOCAL, b"Kdid\n")).recipient == address
        assert command.messid == old
    sender.until(b"end msg %d" % waiting)
    head = sender.log[: sender.log.index(b"end msg %d" % waiting)]
    starts = head.split(b"to local ")
    assert len(starts) == 3
    assert all(part.count(b"new msg") <= 40 for part in starts), head
    sender.wait(lambda: sender.log.count(b"new msg") == 400)


def test_hosts_that_are_slow_keep_nobody_elses_mail_waiting(start: Start) -> None:
    """All remote slots are taken, more mail waits for one, and new mail for mailboxes here is delivered all the same."""
    sender = start(concurrencyremote="2")
    sender.expect(b"status: local 0/10 remote 0/2")
    far = [queue_message(sender.home, b"a@b.example", [b"x%d@far.example" % i]) for i in range(60)]
    sender.wait(lambda: len(sender.commands[REMOTE]) == 2)
    n = queue_message(sender.home, b"a@b.example", [TO])
    sender.deliver(LOCAL, b"Kdid\n")
    sender.until(b"end msg %d" % n)
    sender.wait(lambda: len(files(sender.home, "remote")) == len(far))  # they wait as mail has always waited
    sender.deliver(REMOTE, b"Kdid\n")
    sender.until(b"delivery 1: success: did/")
    # A slot, but others wait for it: who comes now has files as well.
    late = queue_message(sender.home, b"a@b.example", [FAR])
    sender.wait(lambda: path(sender.home, "remote", late).exists())
    assert b"warning" not in sender.log  # of files that a scan had seen, and that were gone when it came to them


def test_one_slow_delivery_does_not_make_the_others_take_the_long_way(start: Start) -> None:
    sender = start()
    idle(sender)
    slow = queue_message(sender.home, b"a@b.example", [FAR])
    sender.command(REMOTE)
    sender.wait(lambda: sender.cleaned == [b"todo/%d" % slow])
    n = queue_message(sender.home, b"a@b.example", [FAR])
    command = sender.command(REMOTE)
    assert files(sender.home, "remote") == files(sender.home, "info") == [str(slow)]
    sender.report(REMOTE, b"%cKdid\n\0" % command.delnum)
    sender.until(b"end msg %d" % n)


def test_term_says_nothing_of_those_that_wait_for_a_slot(start: Start) -> None:
    sender = start(concurrencyremote="1")
    sender.expect(b"status: local 0/10 remote 0/1")
    for _ in range(3):
        queue_message(sender.home, b"a@b.example", [FAR])
    command = sender.command(REMOTE)
    sender.until(b"status: local 0/10 remote 1/1")
    sender.wait(lambda: sender.log.count(b"new msg") == 3)
    sender.kill(signal.SIGTERM)
    sender.report(REMOTE, b"%cKdid\n\0" % command.delnum)
    assert sender.end() == 0
    assert b"warning" not in sender.log
    assert len(files(sender.home, "mess")) == 2


def test_a_qmail_clean_that_takes_its_time_keeps_no_delivery_waiting(start: Start) -> None:
    sender = start(concurrencylocal="2")
    sender.expect(b"status: local 0/2 remote 0/20")
    sender.answer = b""
    numbers = [queue_message(sender.home, b"a@b.example", [TO]) for _ in range(6)]
    for _ in numbers:
        sender.deliver(LOCAL, b"Kdid\n")
    sender.until(b"delivery 6: success: did/")
    sender.wait(lambda: len(sender.cleaned) == len(numbers))
    assert b"end msg" not in sender.log
    for name in sender.cleaned:
        queuefiles.remove_todo(sender.queue, int(name.partition(b"/")[2]))
    sender.answer = b"+"
    os.write(sender.clean_out, b"+" * len(numbers))
    sender.wait(lambda: sender.log.count(b"end msg") == len(numbers) and there(sender.home) == [])
    assert sender.terminate() == 0
