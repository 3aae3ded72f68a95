"""What strangers send and what machines run out of: the reply of the originals, and no message lost or half queued.

All of it goes through the run scripts of `make run`: softlimit, tcpserver, rblsmtpd, qmail-smtpd and the queue."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.classic import CONTROL, ClassicHost
from tests.support.host import Host, until
from tests.support.server import WAYS, read_all

GREETING, BYE = b"220 localhost ESMTP\r\n", b"221 localhost\r\n"
OK, GO = b"250 ok\r\n", b"354 go ahead\r\n"
UNKNOWN = b"502 unimplemented (#5.5.1)\r\n"
LONG = b"555 syntax error (#5.5.4)\r\n"
BARE = b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"
NO_MEMORY = b"421 out of memory (#4.3.0)\r\n"
NO_CONTROLS = b"421 unable to read controls (#4.3.0)\r\n"
NO_SPACE = b"451 qq write error or disk full (#4.3.0)\r\n"
START = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<demo@localhost>\r\nDATA\r\n"
STARTED = GREETING + OK + OK + GO
MEGABYTE = 1 << 20
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")


def make(way: str) -> Iterator[Host]:
    directory = tempfile.mkdtemp(prefix="host")
    try:
        with contextlib.closing(Host(Path(directory, "i"), WAYS[way])) as host:
            yield host
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def host() -> Iterator[Host]:
    """A host of this test's own, not yet started."""
    yield from make("in-process")


@pytest.fixture(scope="module", params=list(WAYS))
def shared(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A host that runs for all tests; one that left anything behind would spoil the next."""
    for made in make(request.param):
        made.control("databytes", "100000\n")
        made.control("timeoutsmtpd", "20\n")
        with made:
            yield made


def quiet(host: Host) -> int:
    """Wait until nobody is connected; where the log of the next connection begins."""
    until(lambda: host.log.count(b" from 127.") == host.log.count(b": end "), 20, lambda: repr(host.log))
    return len(host.log)


def status(host: Host, before: int) -> int:
    """Wait for the end of the connection behind the first `before` bytes of the log; its wait status."""

    def ended() -> int:
        for line in host.log[before:].splitlines():
            if b": end " in line:
                return int(line.split()[-1]) + 1
        return 0

    return until(ended, 20, lambda: repr(host.log[before:])) - 1


def deliver(host: Host, body: bytes = b"Subject: all is well\n\n") -> None:
    """The proof that a host is well: a message is taken, delivered, and taken away."""
    count = len(os.listdir(host.maildir / "new"))
    assert host.send("a@b.example", [host.address], body) == {}
    assert host.mail(count + 1)[-1].endswith(body)
    for file in (host.maildir / "new").iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("said", "replies", "code"),
    [
        pytest.param(b"", GREETING, 1, id="nothing"),
        pytest.param(b"\r\n\n \r\n\0\r\n", GREETING + UNKNOWN * 4, 1, id="empty lines"),
        pytest.param(b"\xff\xfe\x00\x80garbage" * 50 + b"\r\nQUIT\r\n", GREETING + UNKNOWN + BYE, 0, id="garbage"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", GREETING + UNKNOWN * 3, 1, id="HTTP"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\n", GREETING + UNKNOWN, 1, id="TLS"),
        pytest.param(
            b"RCPT TO:<x>\r\nDATA\r\nMAIL\r\nDATA\r\n",
            GREETING + b"503 MAIL first (#5.5.1)\r\n" * 2 + OK + b"503 RCPT first (#5.5.1)\r\n",
            1,
            id="wrong order",
        ),
        pytest.param(b"MAIL FROM:<" + b"a" * 900 + b">\r\nMAIL <>\r\n", GREETING + LONG + OK, 1, id="long address"),
        pytest.param(b"NOOP\0QUIT\r\nNO\0OP\r\nQUIT\r\n", GREETING + OK + UNKNOWN + BYE, 0, id="NULs"),
        pytest.param(b"NOOP " + b"x" * MEGABYTE + b"\r\nQUIT\r\n", GREETING + OK + BYE, 0, id="a megabyte of NOOP"),
        pytest.param(b"x" * MEGABYTE, GREETING, 1, id="a megabyte without end"),
        pytest.param(b"\0" * MEGABYTE + b"\r\nQUIT\r\n", GREETING + UNKNOWN + BYE, 0, id="a megabyte of NULs"),
        pytest.param(b"x" * 25_000_000 + b"\r\nQUIT\r\n", GREETING + NO_MEMORY, 1, id="more than softlimit leaves"),
        pytest.param(START, STARTED, 1, id="DATA and gone"),
        pytest.param(START + b"Subject: half\r\n\r\nhalf a li", STARTED, 1, id="half a message"),
        pytest.param(START + b"line\r\n.\r", STARTED, 1, id="all but the last byte"),
        pytest.param(START + b"line\r\n.\n", STARTED + BARE, 1, id="a bare LF at the end"),
        pytest.param(START + b"bare\n", STARTED + BARE, 1, id="a bare LF"),
        pytest.param(
            START + b"x" * 100_001 + b"\r\n.\r\nQUIT\r\n",
            STARTED + b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n" + BYE,
            0,
            id="over databytes",
        ),
        pytest.param(
            START + b"x" * MEGABYTE + b"\r\n.\r\nQUIT\r\n",
            STARTED + b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n" + BYE,
            0,
            id="far over databytes, in one line",
        ),
        pytest.param(
            START + b"Received: x\r\n" * 100 + b"\r\n.\r\nQUIT\r\n",
            STARTED + b"554 too many hops, this message is looping (#5.4.6)\r\n" + BYE,
            0,
            id="a hundred hops",
        ),
    ],
)
def test_what_is_no_mail_is_answered_and_leaves_nothing(shared: Host, said: bytes, replies: bytes, code: int) -> None:
    before = quiet(shared)
    assert shared.talk(said) == replies
    assert status(shared, before) == code << 8
    assert shared.queued() == []
    assert os.listdir(shared.maildir / "new") == []


def test_afterwards_the_host_is_as_well_as_before(shared: Host) -> None:
    deliver(shared)


def test_lines_of_any_length_and_any_bytes_are_mail(shared: Host) -> None:
    deliver(shared, b"x" * 90_000 + b"\n")
    deliver(shared, b"\0\0nul\0s\n\xff\xfe\n" + bytes(range(14, 256)) + b"\n")


def test_a_connection_reset_in_the_middle_of_a_message_leaves_nothing(shared: Host) -> None:
    before = quiet(shared)
    with socket.create_connection(("127.0.0.1", shared.smtp), 20) as client:
        client.sendall(START)
        answer = b""
        while not answer.endswith(GO):
            answer += client.recv(1000)
        client.sendall(b"line\r\n")
        until(lambda: any(name.startswith("mess/") for name in shared.queued()), 10, lambda: "nothing begun")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert status(shared, before) == 1 << 8
    assert shared.queued() == []


def test_many_at_a_time_that_all_misbehave_are_followed_by_one_that_does_not(shared: Host) -> None:
    clients = [socket.create_connection(("127.0.0.1", shared.smtp), 20) for _ in range(39)]
    for number, client in enumerate(clients):
        client.sendall((b"", START, START + b"x\r\n", b"\0" * 5000)[number % 4])
    assert shared.send("a@b.example", [shared.address], b"Subject: the one\n\n") == {}
    until(lambda: os.listdir(shared.maildir / "new"), 20, lambda: repr(shared.log))
    for client in clients:
        client.close()
    (message,) = shared.mail()
    assert message.endswith(b"Subject: the one\n\n")


def test_a_megabyte_in_one_line_is_mail(host: Host) -> None:
    with host:
        deliver(host, b"x" * MEGABYTE + b"\n" + b"\0" * MEGABYTE + b"\n")


@pytest.mark.parametrize("said", [b"", b"NOOP", START, START + b"half a line"])
def test_a_client_that_falls_silent_is_told_and_left(host: Host, said: bytes) -> None:
    host.control("timeoutsmtpd", "1\n")
    with host:
        before = quiet(host)
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", host.smtp), 20) as client:
            client.sendall(said)
            answer = read_all(client)
        assert time.monotonic() - started > 0.9
        assert answer == (STARTED if said.startswith(START) else GREETING) + b"451 timeout (#4.4.2)\r\n"
        assert status(host, before) == 1 << 8
        assert host.queued() == []
        deliver(host)


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
            os.kill(_holder(host.home / "queue/lock/sendmutex"), signal.SIGALRM)
            until(lambda: not host.queued(), 20, lambda: f"{host.queued()} {host.log!r}")
            files = [home / "Mailbox", *(home / "Maildir/new").iterdir()]
            assert sum(body in file.read_bytes() for file in files) == 1


def _holder(file: Path) -> int:
    inode = str(file.stat().st_ino)
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode:
            return int(words[4])
    raise AssertionError(f"nobody holds {file}")


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


@pytest.mark.parametrize(
    "said",
    [b"", b"\0" * MEGABYTE, b"USER " + b"x" * MEGABYTE + b"\r\n", b"\r\n" * 1000, b"USER demo\r\nPASS \0\r\n"],
    ids=["nothing", "NULs", "long", "empty", "NUL password"],
)
def test_nonsense_at_the_pop3_port_gets_no_further_than_qmail_popup(host: Host, said: bytes) -> None:
    with host:
        before = quiet(host)
        answer = host.talk(said, host.pop3)
        assert status(host, before) == 1 << 8
        assert set(answer.splitlines()[1:]) <= {b"-ERR authorization first", b"+OK ", b"-ERR syntax error"}
        login = f"USER {host.user}\r\nPASS {host.password}\r\nQUIT\r\n".encode()
        assert host.talk(login, host.pop3) == b"+OK \r\n" * 4


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


def test_the_programs_of_the_chain_say_nothing_to_clients_but_replies(host: Host) -> None:
    """A program that has a bug, or that is missing, leaves its line in the log."""
    run = host.home / "service/smtpd/run"
    run.write_text(run.read_text().replace("  qmail-smtpd", "  ./no-such-program"))
    argv = [str(run)]
    with (
        open(host.home / "log", "wb") as log,
        subprocess.Popen(argv, cwd=run.parent, stdout=log, stderr=log, env=host.env) as server,
    ):
        until(lambda: _connects(host.smtp), 10, lambda: "tcpserver does not start")
        assert host.talk(b"QUIT\r\n") == b""
        server.terminate()
    text = (host.home / "log").read_bytes()
    assert b"rblsmtpd: fatal: unable to run ./no-such-program: file does not exist\n" in text
    assert b"Traceback" not in text


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return False
    return True
