"""qmail-qctl at work on a running qmail-send, on a stopped one, and on one that does not listen."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from qmail.core import queuefiles
from tests.support import launchers
from tests.support import sender as support
from tests.support.instance import make_instance, queue_message
from tests.support.sender import LOCAL, REMOTE, Sender, Start, files, path

start = support.start


def qctl(home: Path, *argv: str | bytes) -> launchers.Result:
    return launchers.run(launchers.ours("qmail-qctl"), *argv, env={"QMAILHOME": str(home)})


def ready(start: Start) -> Sender:
    """A qmail-send that listens already."""
    sender = start()
    sender.expect(support.IDLE)
    return sender


def ok(text: str) -> launchers.Result:
    return launchers.Result(0, text.encode(), b"")


def taken(sender: Sender, envelope_sender: bytes, *recipients: bytes) -> int:
    """Queue a message and wait until qmail-send has sorted it."""
    n = queue_message(sender.home, envelope_sender, list(recipients))
    sender.wait(lambda: b"todo/%d" % n in sender.cleaned)
    return n


def waiting(home: Path, number: int, remote: bytes = b"Tx@r\0Ty@r\0", later: int = 5000) -> None:
    """A message in state S5 that is not due for a while."""
    path(home, "mess", number).write_bytes(b"Subject: x\n\nbody\n")
    path(home, "info", number).write_bytes(b"Fs@s.example\0")
    path(home, "remote", number).write_bytes(remote)
    when = time.time() + later
    os.utime(path(home, "remote", number), (when, when))


@pytest.fixture
def idle(tmp_path: Path) -> Path:
    """An instance with message 46, not due, on the schedule."""
    home = make_instance(tmp_path)
    waiting(home, 46)
    return home


def test_retry_makes_the_next_attempt_come_now(start: Start, idle: Path) -> None:
    sender = ready(start)
    assert qctl(idle, "retry", "#46") == ok("due #46: 2 recipients\n")
    sender.expect(b"qmail-qctl: retry msg 46: 2 recipients, 0 under way, uid %d" % os.getuid())
    assert [sender.command(REMOTE).recipient for _ in range(2)] == [b"x@r", b"y@r"]


def test_retry_of_a_message_under_delivery_comes_when_the_pass_is_through(start: Start) -> None:
    sender = start()
    n = queue_message(sender.home, b"s@s", [b"x@r.example"])
    first = sender.command(REMOTE)
    sender.wait(lambda: sender.cleaned == [b"todo/%d" % n])  # it takes too long for a new message
    assert qctl(sender.home, "retry", str(n)) == ok(f"due #{n}: 0 recipients, 1 under way\n")
    sender.report(REMOTE, b"%cZnot now\n\0" % first.delnum)
    assert sender.command(REMOTE).recipient == b"x@r.example"


def test_what_is_held_is_not_delivered_until_it_is_released_whatever_restarts(start: Start, idle: Path) -> None:
    sender = ready(start)
    assert qctl(idle, "hold", "46") == ok("held #46: 2 recipients\n")
    sender.kill(signal.SIGALRM)
    n = queue_message(idle, b"s@s", [b"other@r"])
    assert sender.deliver(REMOTE, b"K").recipient == b"other@r"
    sender.until(b"end msg %d" % n)
    assert b"msg 46 to" not in sender.log and not sender.commands[REMOTE]
    assert sender.terminate() == 0
    again = ready(start)
    again.kill(signal.SIGALRM)
    assert [(m["held"], [r["held"] for r in m["recipients"]]) for m in listed(idle, "46")] == [(True, [True, True])]
    assert qctl(idle, "release", "46") == ok("released #46: 2 recipients\n")
    assert [again.deliver(REMOTE, b"K").recipient for _ in range(2)] == [b"x@r", b"y@r"]
    again.until(b"end msg 46")
    assert os.listdir(idle / "queue/hold") == ["ctl"]


def listed(home: Path, *argv: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(qctl(home, "list", "--json", *argv).out)
    return found


def test_one_recipient_may_be_held_while_the_others_go(start: Start, idle: Path) -> None:
    sender = ready(start)
    assert qctl(idle, "hold", "-r", "X@*", "46") == ok("held #46: 1 recipient\n")
    assert qctl(idle, "retry", "46").code == 0
    assert sender.deliver(REMOTE, b"K").recipient == b"y@r"
    sender.until(b"delivery 1: success: ")
    sender.expect(support.IDLE)
    assert qctl(idle, "list").out.endswith(b"  <s@s.example> \n  held\tremote\tx@r\n  done\tremote\ty@r\n")
    assert qctl(idle, "release", "-r", "x@r") == ok("released #46: 1 recipient\n")
    assert sender.deliver(REMOTE, b"K").recipient == b"x@r"
    sender.until(b"end msg 46")


def test_releasing_one_recipient_of_a_held_message_leaves_the_others_held(start: Start, idle: Path) -> None:
    sender = ready(start)
    assert qctl(idle, "hold", "46").code == 0
    assert qctl(idle, "release", "-r", "y@r", "46") == ok("released #46: 1 recipient\n")
    assert sender.deliver(REMOTE, b"K").recipient == b"y@r"
    sender.until(b"delivery 1: success: ")
    assert path(idle, "remote", 46).read_bytes() == b"Tx@r\0Dy@r\0"


def test_a_hold_of_another_message_with_the_same_number_holds_nothing(start: Start, idle: Path) -> None:
    (idle / "queue/hold").mkdir()
    (idle / "queue/hold/46").write_bytes(b"b12345\0A\0")  # left by a message that a C qmail-send delivered
    sender = ready(start)
    assert not listed(idle)[0]["held"]
    sender.kill(signal.SIGALRM)
    assert sender.command(REMOTE).recipient == b"x@r"


def test_fail_bounces_to_the_sender_with_the_text_given(start: Start, idle: Path) -> None:
    sender = ready(start)
    assert qctl(idle, "fail", "-m", "No such project any more.", "46") == ok("failed #46: 2 recipients\n")
    sender.until(b"end msg 46")
    bounce = sender.command(REMOTE)
    assert (bounce.sender, bounce.recipient) == (b"", b"s@s.example")
    text = path(idle, "mess", int(bounce.messid.partition(b"/")[2])).read_bytes()
    assert b"\n\n<x@r>:\nNo such project any more.\n\n<y@r>:\nNo such project any more.\n\n--- Below this line" in text


def test_fail_of_one_recipient_lets_the_others_wait_for_their_time(start: Start, idle: Path) -> None:
    sender = ready(start)
    assert qctl(idle, "fail", "-r", "y@r") == ok("failed #46: 1 recipient\n")
    assert path(idle, "remote", 46).read_bytes() == b"Tx@r\0Dy@r\0"
    assert (idle / "queue/bounce/46").read_bytes().startswith(b"<y@r>:\nThe administrator of this system has given up")
    assert sender.terminate() == 0
    assert b"starting delivery" not in sender.log


def test_fail_under_delivery_waits_for_the_report_and_success_beats_it(start: Start) -> None:
    sender = start()
    n = queue_message(sender.home, b"s@s.example", [b"a@r", b"b@r"])
    first, second = sender.command(REMOTE), sender.command(REMOTE)
    assert qctl(sender.home, "fail", "-m", "Enough.", str(n)) == ok(f"failed #{n}: 0 recipients, 2 under way\n")
    sender.report(REMOTE, b"%cKfine\n\0%cZtry later\n\0" % (first.delnum, second.delnum))
    sender.until(b"delivery 2: failure: try_later/Enough./")
    sender.until(b"end msg %d" % n)
    bounce = sender.command(REMOTE)
    text = path(sender.home, "mess", int(bounce.messid.partition(b"/")[2])).read_bytes()
    assert b"\n\n<b@r>:\ntry later\nEnough.\n\n---" in text and b"<a@r>" not in text


def test_delete_removes_without_a_bounce_even_what_has_failed_already_or_fails_now(start: Start) -> None:
    sender = start(local=1)
    n = queue_message(
        sender.home, b"s@s.example", [b"gone@r", b"out@r", b"l1@probe.example.org", b"l2@probe.example.org"]
    )
    sender.deliver(REMOTE, b"Dnobody here\n")
    out, local = sender.command(REMOTE), sender.command(LOCAL)
    sender.until(b"delivery 2: failure: nobody_here/")
    # l2 waits for the one slot: its record may have been read already.
    assert qctl(sender.home, "delete", str(n)) == ok(f"deleted #{n}: 1 recipient, 2 under way\n")
    sender.report(LOCAL, b"%cZbusy\n\0" % local.delnum)
    sender.report(REMOTE, b"%cDno\n\0" % out.delnum)
    sender.until(b"end msg %d" % n)
    assert sender.terminate() == 0
    assert b"bounce msg" not in sender.log and b"l2@" not in sender.log
    assert not any(files(sender.home, kind) for kind in ("mess", "todo", "info", "local", "remote", "bounce"))


def test_fail_and_delete_need_no_free_slot(start: Start, tmp_path: Path) -> None:
    home = make_instance(tmp_path, concurrencyremote="1")
    for number in (46, 69, 92):
        waiting(home, number)
    path(home, "local", 69).write_bytes(b"Tl@probe.example.org\0")
    sender = start()
    sender.until(b"status: local 0/10 remote 0/1")
    slow = queue_message(home, b"s@s", [b"slow@r"])
    sender.command(REMOTE)
    assert qctl(home, "delete", "46") == ok("deleted #46: 2 recipients\n")
    sender.until(b"end msg 46")
    assert qctl(home, "delete", "-r", "*@r", "69") == ok("deleted #69: 2 recipients\n")
    assert sender.deliver(LOCAL, b"K").recipient == b"l@probe.example.org"
    sender.until(b"end msg 69")
    assert qctl(home, "fail", "92") == ok("failed #92: 2 recipients\n")
    sender.until(b"end msg 92")
    assert b"end msg %d" % slow not in sender.log


def test_patterns_choose_by_sender_and_recipient(start: Start, idle: Path) -> None:
    for number, recipients in ((47, b"Tx@r\0"), (48, b"Tz@other\0"), (49, b"Dx@r\0Tq@r\0")):
        waiting(idle, number, recipients)
    path(idle, "info", 47).write_bytes(b"F\0")
    sender = ready(start)
    wanted = [("list", "-s", "s@*", "-r", "X@R"), ("list", "-s", ""), ("list", "-r", "?@r")]
    assert [[m["number"] for m in listed(idle, *words[1:])] for words in wanted] == [[46, 49], [47], [46, 47, 49]]
    assert (
        qctl(idle, "-n", "delete", "-r", "x@r").out == b"would delete #46: 1 recipient\nwould delete #47: 1 recipient\n"
    )
    assert qctl(idle, "delete", "-s", "*@s.example", "-r", "*@r") == ok(
        "deleted #46: 2 recipients\ndeleted #49: 1 recipient\n"
    )
    sender.until(b"end msg 46")
    assert files(idle, "mess") == ["47", "48"] or sender.wait(lambda: files(idle, "mess") == ["47", "48"]) is None


def test_a_number_that_is_not_there_is_said_so(start: Start, idle: Path) -> None:
    ready(start)
    assert qctl(idle, "delete", "5", "#6") == launchers.Result(
        100, b"", b"qmail-qctl: #5: no such message\nqmail-qctl: #6: no such message\n"
    )
    assert qctl(idle, "list", "7").err == b"qmail-qctl: #7: no such message\n"
    assert qctl(idle, "delete", "-s", "nobody@*") == ok("")


def test_a_new_message_must_be_sorted_first(idle: Path) -> None:
    n = queue_message(idle, b"s@s", [b"x@r"])
    done = qctl(idle, "delete", str(n))
    assert (done.code, done.out) == (111, b"")
    assert done.err == b"qmail-qctl: #%d: new; try again when its first attempt is over\n" % n


def test_a_message_whose_todo_is_gone_is_new_until_qmail_send_has_been_told(start: Start, idle: Path) -> None:
    sender = ready(start)
    sender.answer = b""
    n = queue_message(idle, b"s@s", [b"x@new", b"y@new"])
    sender.wait(lambda: sender.cleaned == [b"todo/%d" % n])
    queuefiles.remove_todo(sender.queue, n)
    done = qctl(idle, "delete", str(n))
    assert (done.code, done.err) == (111, b"qmail-qctl: #%d: new; try again when its first attempt is over\n" % n)
    sender.answer = b"+"
    os.write(sender.clean_out, b"+")
    assert [sender.deliver(REMOTE, b"K").recipient for _ in range(2)] == [b"x@new", b"y@new"]
    sender.until(b"end msg %d" % n)
    assert b"warning" not in sender.log


@pytest.mark.parametrize(
    "words", [(), ("hold",), ("delete",), ("explode", "46"), ("hold", "x46"), ("hold", "-q", "46")]
)
def test_a_call_that_makes_no_sense_touches_nothing(idle: Path, words: tuple[str, ...]) -> None:
    assert qctl(idle, *words).code == 100
    assert path(idle, "remote", 46).read_bytes() == b"Tx@r\0Ty@r\0"


def test_all_means_all(start: Start, idle: Path) -> None:
    waiting(idle, 47)
    ready(start)
    assert qctl(idle, "hold", "--all") == ok("held #46: 2 recipients\nheld #47: 2 recipients\n")


def test_without_a_qmail_send_the_queue_itself_is_changed(start: Start, idle: Path) -> None:
    waiting(idle, 47)
    assert qctl(idle, "hold", "47").code == qctl(idle, "retry", "--all").code == 0
    assert qctl(idle, "fail", "-r", "y@*", "46") == ok("failed #46: 1 recipient\n")
    sender = start()
    assert sender.deliver(REMOTE, b"K").recipient == b"x@r"
    sender.until(b"end msg 46")
    assert sender.command(REMOTE).recipient == b"s@s.example"  # the bounce; 47 is held
    sender.close(*sender.report_fds)
    assert sender.end() == 0
    assert qctl(idle, "delete", "47") == ok("deleted #47: 2 recipients\n")
    again = start()
    again.until(b"end msg 47")


def test_beside_a_qmail_send_that_does_not_listen_nothing_is_touched(idle: Path) -> None:
    with open(idle / "queue/lock/sendmutex", "wb") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        done = qctl(idle, "delete", "46")
    name = f"{idle}/queue/hold/ctl"
    assert done == launchers.Result(
        111, b"", f"qmail-qctl: fatal: qmail-send runs, but does not listen on {name}\n".encode()
    )
    assert path(idle, "remote", 46).read_bytes() == b"Tx@r\0Ty@r\0"


@pytest.mark.parametrize("packet", [b"x", b"hold\0", b"hold\0\0", b"hold\0\0Nx.1\0", b"hold\0\0Lx@y\0", b"\0" * 999])
def test_a_caller_that_talks_nonsense_is_told_so_and_qmail_send_goes_on(
    start: Start, idle: Path, packet: bytes
) -> None:
    ready(start)
    directory = os.open(idle / "queue/hold", os.O_PATH)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
        caller.settimeout(20)
        caller.connect(f"/proc/self/fd/{directory}/ctl")
        caller.send(packet)
        assert caller.recv(65536)[:1] in (b"Z", b"")
    os.close(directory)
    assert qctl(idle, "retry", "46").code == 0


def test_a_message_with_very_many_recipients_is_dealt_with_in_pieces(start: Start, tmp_path: Path) -> None:
    home = make_instance(tmp_path)
    waiting(home, 46, b"".join(b"T%d@a-rather-long-name-of-a-host.example\0" % i for i in range(5000)) + b"Tlast@r\0")
    sender = ready(start)
    done = qctl(home, "delete", "-r", "*.example")
    counts = [int(line.split()[2]) for line in done.out.splitlines()]
    assert len(counts) > 1 and sum(counts) == 5000
    assert qctl(home, "retry", "46").out == b"due #46: 1 recipient\n"
    assert sender.deliver(REMOTE, b"K").recipient == b"last@r"
    sender.until(b"end msg 46")


def test_only_the_owner_may_come_near(idle: Path, start: Start) -> None:
    ready(start)
    assert (idle / "queue/hold").stat().st_mode & 0o777 == 0o700
