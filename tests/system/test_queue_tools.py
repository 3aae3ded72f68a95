"""queue-fix and qmail-qctl where accounts matter: on a classic mail host."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.support.classic import CONTROL, ClassicHost

pytestmark = pytest.mark.xdist_group("classic mail host")

LOG = "/var/log/all"


def queue_one(host: ClassicHost) -> int:
    """A message to bela whose delivery is deferred; its number."""
    host.write("/home/bela/.qmail", "|exit 111\n")
    host.must("qmail-inject", "-f", "s@mail.aaaa.hu", "bela@mail.aaaa.hu", stdin=b"Subject: x\n\nhello\n")
    host.wait_for(LOG, r"delivery \d+: deferral: ")
    (message,) = json.loads(host.must("qmail-qctl", "list", "--json"))
    return int(message["number"])


def test_a_held_message_survives_the_copy_of_its_queue_by_root_and_is_delivered_when_released(
    host: ClassicHost,
) -> None:
    host.add_user("bela")
    host.make_mail_host(**CONTROL)
    host.start_syslog()
    queue = host.file("/var/qmail/queue")
    (queue / "hold").rmdir()  # as in an installation of the original
    service = host.start_qmail("./Mailbox")
    n = queue_one(host)
    about = (queue / "hold").stat()
    assert (about.st_uid, about.st_gid, about.st_mode & 0o777) == (*host.account("qmails"), 0o700)

    assert host.must("qmail-qctl", "hold", str(n)) == b"held #%d: 1 recipient\n" % n
    assert (queue / f"hold/{n}").stat().st_uid == host.account("qmails")[0]
    refused = host.run("setuidgid", "bela", "qmail-qctl", "delete", str(n))
    assert refused.code == 111 and refused.out == b""
    running = host.run("queue-fix", "-r")
    assert (running.code, running.err) == (111, b"queue-fix: fatal: qmail-send is running; stop it before a repair\n")
    assert host.run("queue-fix").code == 0

    service.stop()
    queue.rename(queue.with_name("old"))
    host.must("cp", "-r", "/var/qmail/old", "/var/qmail/queue")  # owners, modes, times, inodes: all lost
    for info in queue.with_name("old").glob("info/*/*"):
        shutil.copystat(info, queue / info.relative_to(queue.with_name("old")))  # but the time of birth
    assert host.run("queue-fix", "-c").code == 100
    assert host.run("queue-fix", "-rc").code == 0
    assert host.run("queue-fix").out == b""

    host.write("/home/bela/.qmail", "./Mailbox\n")
    service = host.start_qmail("./Mailbox")
    (message,) = json.loads(host.must("qmail-qctl", "list", "--json"))
    assert message["held"] and message["number"] != n
    assert host.must("qmail-qctl", "release", "-s", "s@*").startswith(b"released #")
    host.wait_for("/home/bela/Mailbox", r"Subject: x\n\nhello\n\n$")
    host.wait_for(LOG, rf"end msg {message['number']}\n")
    service.stop()
    assert host.run("queue-fix").out == b""


def test_without_qmail_send_root_changes_the_queue_as_qmails(host: ClassicHost) -> None:
    host.add_user("bela")
    host.make_mail_host(**CONTROL)
    host.start_syslog()
    service = host.start_qmail("./Mailbox")
    n = queue_one(host)
    service.stop()
    assert host.must("qmail-qctl", "fail", "-m", "No more.", str(n)) == b"failed #%d: 1 recipient\n" % n
    bounce = host.file(f"/var/qmail/queue/bounce/{n}")
    assert bounce.stat().st_uid == host.account("qmails")[0]
    assert bounce.read_text() == "<bela@mail.aaaa.hu>:\nNo more.\n\n"
    host.start_qmail("./Mailbox")
    host.wait_for(LOG, rf"bounce msg {n} qp \d+")
