"""What a machine lacks or runs out of: the reply of the originals, and no message lost or half queued.

All of it goes through the run scripts of `make run`: softlimit, tcpserver, rblsmtpd, qmail-smtpd and the queue."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.classic import CONTROL, ClassicHost
from tests.support.host import Host, holder, until
from tests.support.server import WAYS
from tests.support.wellbeing import (
    BYE,
    MEGABYTE,
    NO_CONTROLS,
    NO_SPACE,
    START,
    STARTED,
    deliver,
    make,
    quiet,
    status,
)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")


@pytest.fixture
def host() -> Iterator[Host]:
    """A host of this test's own, not yet started."""
    yield from make("in-process")


@pytest.mark.parametrize("name", ["me", "rcpthosts", "badmailfrom"])
@pytest.mark.parametrize("way", WAYS)
def test_control_files_that_are_missing_or_unreadable(way: str, name: str) -> None:
    for host in make(way):
        file = host.home / "control" / name
        file.unlink(missing_ok=True)
        if name != "me":
            file.symlink_to(name)  # as unreadable as can be, also for root
        with host:
            before = quiet(host)
            assert host.talk(b"QUIT\r\n") == NO_CONTROLS
            assert status(host, before) == 1 << 8
            file.unlink(missing_ok=True)
            file.write_text("localhost\n")
            deliver(host)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 2048, None], ids=["empty", "short", "0xff", "directory"])
def test_rules_that_cannot_be_read_drop_the_connection_until_they_can(host: Host, content: bytes | None) -> None:
    rules = host.home / "tcp.smtp.cdb"
    good = rules.read_bytes()
    with host:
        rules.unlink()
        if content is None:
            rules.mkdir()
        else:
            rules.write_bytes(content)
        before = quiet(host)
        assert host.talk() == b""
        assert status(host, before) == 111 << 8
        reason = "is a directory" if content is None else "protocol error"
        warning = f"tcpserver: warning: dropping connection, unable to read tcp.smtp.cdb: {reason}\n"
        assert warning.encode() in host.log
        rules.rmdir() if content is None else rules.unlink()
        rules.write_bytes(good)
        deliver(host)


def test_mail_taken_while_qmail_send_is_down_is_delivered_when_it_is_up(host: Host) -> None:
    service, aside = host.home / "service/qmail", host.home / "aside"
    service.rename(aside)
    with host:
        host.send("a@b.example", [host.address], b"Subject: patience\n\n")
        kinds = [name.partition("/")[0] for name in host.queued()]
        assert kinds == ["intd", "mess", "todo"]
        assert os.listdir(host.maildir / "new") == []
    aside.rename(service)
    with host:
        (message,) = host.mail()
        assert message.endswith(b"Subject: patience\n\n")


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("queue/mess", b"451 qq trouble creating files in queue (#4.3.0)\r\n"),
        ("queue/pid", b"451 qq trouble creating files in queue (#4.3.0)\r\n"),
        ("queue/intd", b"451 qq trouble creating files in queue (#4.3.0)\r\n"),
        ("queue/todo", b"451 qq trouble creating files in queue (#4.3.0)\r\n"),
        ("queue", b"451 qq trouble creating files in queue (#4.3.0)\r\n"),
    ],
)
def test_a_broken_queue_is_temporary(host: Host, name: str, reply: bytes) -> None:
    (host.home / "service/qmail").rename(host.home / "aside")
    with host:
        (host.home / name).rename(host.home / "broken")
        assert host.talk(START + b"x\r\n.\r\nQUIT\r\n") == STARTED + reply + BYE
        (host.home / "broken").rename(host.home / name)
        assert host.talk(START + b"x\r\n.\r\nQUIT\r\n").startswith(STARTED + b"250 ok ")


@pytest.mark.parametrize("program", ["", "bin/none", "control"])
def test_a_queue_program_that_cannot_be_run_is_temporary(host: Host, program: str) -> None:
    host.env["QMAILQUEUE"] = program
    with host:
        refused = STARTED + b"451 unable to exec qq (#4.3.0)\r\n" + BYE
        assert host.talk(START + b"x\r\n.\r\nQUIT\r\n") == refused
        assert host.queued() == []
        assert b"fatal" not in host.log and b"warning" not in host.log


def test_a_file_size_limit_is_a_full_disk(host: Host) -> None:
    run = host.home / "service/smtpd/run"
    run.write_text(run.read_text().replace("softlimit -m", "softlimit -f 100000 -m"))
    with host:
        assert host.talk(START + b"x" * 200_000 + b"\r\n.\r\nQUIT\r\n") == STARTED + NO_SPACE + BYE
        assert host.queued() == []
        deliver(host)


class SmallDisk:
    """A file system of 1 MB, mounted over a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __enter__(self) -> SmallDisk:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(self.directory)], check=True)
        return self

    def grow(self) -> None:
        subprocess.run(["mount", "-o", "remount,size=50m", str(self.directory)], check=True)

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.directory)], check=True)


@needs_root
def test_a_full_queue_is_told_and_nothing_is_half_queued(host: Host) -> None:
    with SmallDisk(host.home / "queue") as disk:
        host.make()
        with host:
            message = START + b"x" * (2 * MEGABYTE) + b"\r\n.\r\nQUIT\r\n"
            assert host.talk(message) == STARTED + NO_SPACE + BYE
            assert host.queued() == []
            deliver(host)
            filler = host.home / "queue/filler"
            with pytest.raises(OSError, match="No space left"):
                filler.write_bytes(b"x" * 2 * MEGABYTE)
            assert host.talk(START + b"small\r\n.\r\nQUIT\r\n") == STARTED + NO_SPACE + BYE
            filler.unlink()
            assert host.queued() == []
            disk.grow()
            assert host.talk(message).startswith(STARTED + b"250 ok ")
            assert len(host.mail()[0]) > 2 * MEGABYTE


@needs_root
@pytest.mark.parametrize(("delivery", "reason"), [("./Maildir/", b"deliv"), ("./Mailbox", b"out_of_disk_space")])
def test_a_full_mailbox_puts_mail_off_and_keeps_no_part_of_it(host: Host, delivery: str, reason: bytes) -> None:
    host.control("defaultdelivery", delivery + "\n")
    home = host.home / "home" / host.user
    body = b"Subject: big\n\n" + b"x" * 2 * MEGABYTE + b"\n"
    with SmallDisk(home) as disk:
        host.make()
        (home / "Maildir").mkdir(exist_ok=True)
        for part in ("tmp", "new", "cur"):
            (home / "Maildir" / part).mkdir(exist_ok=True)
        (home / "Mailbox").write_bytes(b"From earlier\n\n")
        with host:
            host.send("a@b.example", [host.address], body)
            assert reason in host.wait_for(rb"deferral: (.*)\n")[1]
            kept = ["info", "local", "mess"]
            until(lambda: [name.partition("/")[0] for name in host.queued()] == kept, 20, lambda: repr(host.queued()))
            assert os.listdir(home / "Maildir/new") == os.listdir(home / "Maildir/tmp") == []
            assert (home / "Mailbox").read_bytes() == b"From earlier\n\n"
            disk.grow()
            os.kill(holder(host.home / "queue/lock/sendmutex"), signal.SIGALRM)
            until(lambda: not host.queued(), 20, lambda: f"{host.queued()} {host.log!r}")
            files = [home / "Mailbox", *(home / "Maildir/new").iterdir()]
            assert sum(body in file.read_bytes() for file in files) == 1


def test_a_password_file_that_is_broken_lets_nobody_in(host: Host) -> None:
    passwd = host.home / "users/passwd"
    good = passwd.read_bytes()
    login = f"USER {host.user}\r\nPASS {host.password}\r\nSTAT\r\nQUIT\r\n".encode()
    with host:
        for content in (b"", b"\0" * 5000, b"demo\n", b"demo::\n", good.replace(b":", b"\0"), None):
            passwd.unlink()
            if content is not None:
                passwd.write_bytes(content)
                passwd.chmod(0o600)
            else:
                passwd.mkdir()
            assert host.talk(login, host.pop3) == b"+OK \r\n+OK \r\n-ERR authorization failed\r\n"
        passwd.rmdir()
        passwd.write_bytes(good)
        passwd.chmod(0o644)  # open to others: it is not to be trusted, and will not be until that is put right
        assert host.talk(login, host.pop3) == b"+OK \r\n+OK \r\n-ERR authorization failed\r\n"
        passwd.chmod(0o600)
        assert host.talk(login, host.pop3) == b"+OK \r\n" * 3 + b"+OK 0 0\r\n+OK \r\n"


@pytest.mark.xdist_group("classic mail host")
def test_where_users_are_apart_mail_is_put_off_while_qmail_queued_is_down() -> None:
    with ClassicHost() as classic:
        classic.add_classic_accounts()
        classic.add_user("bela")
        classic.make_mail_host(**CONTROL)
        classic.must("setuidgid", "bela", "maildirmake", "/home/bela/Maildir")
        session = START.replace(b"demo@localhost", b"bela@mail.aaaa.hu") + b"x\r\n.\r\nQUIT\r\n"
        down = classic.run("setuidgid", "qmaild", "qmail-smtpd", stdin=session)
        assert down.err.endswith(b" 451 qq trouble making network connection (#4.3.0)\n") and down.err.count(b"\n") == 1
        assert down.out.splitlines()[4:] == [
            b"451 qq trouble making network connection (#4.3.0)",
            b"221 mail.aaaa.hu",
        ]
        classic.start_qmail("./Maildir/")
        up = classic.run("setuidgid", "qmaild", "qmail-smtpd", stdin=session)
        assert up.out.splitlines()[4].startswith(b"250 ok ")
        (file,) = classic.wait_for_files("/home/bela/Maildir/new")
        assert file.read_bytes().endswith(b"\nx\n")
