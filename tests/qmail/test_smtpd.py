"""qmail-smtpd as a process: descriptors, environment, control files, the queue program, exit codes (spec 2, 12.1)."""

from __future__ import annotations

import os
import re
import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cdbx
import pytest

from qmail.core import queuetree
from qmail.core.instance import Instance
from tests.support import launchers
from tests.support.storing import StoringHost

GREETING, BYE = b"220 mail.example.org ESMTP\r\n", b"221 mail.example.org\r\n"
START = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<x@mail.example.org>\r\nDATA\r\n"
OK, GO = b"250 ok\r\n", b"354 go ahead\r\n"
NO_CONTROLS = b"421 unable to read controls (#4.3.0)\r\n"
REFUSED = re.compile(rb"qmail-smtpd: (192\.0\.2\.7|unknown) pid \d+:( from <[!-~]*>)?( to <[!-~]*>)? [45]\d\d [ -~]+")
NO_GATEWAY = b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\r\n"


class Host(StoringHost):
    """A StoringHost with qmail-smtpd."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, "qmail-smtpd")

    def replies(self, data: bytes, **env: str) -> bytes:
        """What comes between greeting and 221 when `data` is said; it must end with exit 0, with a refusal in each line
        of stderr."""
        done = self.talk(data + b"QUIT\r\n", **env)
        assert done.code == 0
        assert all(REFUSED.fullmatch(line) for line in done.err.splitlines()), done.err
        assert done.out.startswith(GREETING) and done.out.endswith(BYE)
        return done.out[len(GREETING) : -len(BYE)]

    def taken(self, data: bytes, **env: str) -> tuple[bytes, bytes]:
        """Message and envelope that the queue program got."""
        self.replies(data, **env)
        return self.stored()

    def start(self, stdin: int, stdout: int) -> subprocess.Popen[bytes]:
        env = {"PATH": os.environ["PATH"], **self.env}
        return subprocess.Popen([launchers.ours("qmail-smtpd")], stdin=stdin, stdout=stdout, env=env)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def receive(sock: socket.socket, enough: Callable[[bytes], bool]) -> bytes:
    data = b""
    while not enough(data) and (block := sock.recv(65536)):
        data += block
    return data


# --- start and end


def test_end_of_input_at_once_gives_the_greeting_and_exit_1(host: Host) -> None:  # probe 1
    assert host.talk(b"") == launchers.Result(1, GREETING, b"")


def test_quit_is_the_only_way_to_exit_0(host: Host) -> None:  # 3
    assert host.talk(b"helo foo\nnoop\nQuIt\nNOOP\n") == launchers.Result(
        0, GREETING + b"250 mail.example.org\r\n" + OK + BYE, b""
    )
    assert host.talk(b"NOOP\r\n").code == 1


def test_smtpgreeting_goes_before_me(host: Host) -> None:
    host.set("smtpgreeting", "mx.example hello there \nsecond\n")
    assert host.talk(b"QUIT\r\n").out == b"220 mx.example hello there ESMTP\r\n221 mx.example hello there\r\n"


def no_me(host: Host) -> None:
    (host.control / "me").unlink()


def no_home(host: Host) -> None:
    host.env["QMAILHOME"] = str(host.home / "none")


def directory(name: str) -> Callable[[Host], None]:
    def make(host: Host) -> None:
        (host.control / name).unlink(missing_ok=True)
        (host.control / name).mkdir()

    return make


def loop(name: str) -> Callable[[Host], None]:
    def make(host: Host) -> None:
        (host.control / name).unlink(missing_ok=True)
        os.symlink(name, host.control / name)

    return make


CONTROLS = ["me", "smtpgreeting", "localiphost", "timeoutsmtpd", "rcpthosts", "badmailfrom", "databytes"]


@pytest.mark.parametrize("spoil", [no_me, no_home, directory("badmailfrom"), loop("morercpthosts.cdb")])
def test_controls_that_cannot_be_read_are_told_in_place_of_the_greeting(  # 32
    host: Host, spoil: Callable[[Host], None]
) -> None:
    spoil(host)
    assert host.talk(b"QUIT\r\n") == launchers.Result(1, NO_CONTROLS, b"")


def test_each_control_file_counts(host: Host) -> None:
    for name in CONTROLS:
        (host.home / name).mkdir()
        other = Host(host.home / name)
        directory(name)(other)
        assert other.talk(b"QUIT\r\n") == launchers.Result(1, NO_CONTROLS, b""), name


def test_a_client_that_is_silent_is_told_and_left(host: Host) -> None:  # 31
    host.set("timeoutsmtpd", "0")
    pairs = [socket.socketpair() for _ in range(2)]
    began = time.monotonic()
    running = [host.start(theirs.fileno(), theirs.fileno()) for _, theirs in pairs]
    pairs[1][0].sendall(START + b"half a mail\r\n")
    for (ours, theirs), process, before in zip(pairs, running, (b"", OK * 2 + GO), strict=True):
        theirs.close()
        assert receive(ours, lambda data: False) == GREETING + before + b"451 timeout (#4.4.2)\r\n"
        assert process.wait() == 1
        ours.close()
    assert 1 <= time.monotonic() - began < 10


def test_a_client_that_takes_nothing_is_left_in_silence(host: Host) -> None:
    host.set("timeoutsmtpd", "1")
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    process = host.start(theirs.fileno(), theirs.fileno())
    theirs.close()
    ours.settimeout(10)
    with pytest.raises(OSError):  # it closes with our commands unread
        while True:
            ours.sendall(b"HELP\r\n" * 10000)
    assert process.wait() == 1
    ours.close()


def test_a_client_that_is_gone_is_no_error_to_report(host: Host) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = host.start(subprocess.DEVNULL, writer)
    os.close(writer)
    assert process.wait() == 1


def test_regular_files_do_for_a_client(host: Host) -> None:
    (host.home / "in").write_bytes(START + b"x\r\n.\r\nQUIT\r\n")
    with open(host.home / "in", "rb") as stdin, open(host.home / "out", "wb") as stdout:
        assert host.start(stdin.fileno(), stdout.fileno()).wait() == 0
    assert (host.home / "out").read_bytes().startswith(GREETING + OK * 2 + GO + b"250 ok ")
    assert (host.home / "message").read_bytes().endswith(b"\nx\n")


def test_replies_to_commands_that_came_together_leave_together(host: Host) -> None:  # 35
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # keeps writes apart
    process = host.start(theirs.fileno(), theirs.fileno())
    theirs.close()
    assert ours.recv(65536) == GREETING
    ours.send(b"MAIL FROM:<>\r\nRCPT TO:<x@mail.example.org>\r\nRSET\r\nNOOP\r\n")
    assert ours.recv(65536) == OK * 2 + b"250 flushed\r\n" + OK
    ours.close()
    assert process.wait() == 1


# --- the mail


def test_a_mail_gets_a_trace_line_and_reaches_the_queue_with_its_envelope(host: Host) -> None:  # 6
    message, envelope = host.taken(
        b"HELO other.name\r\n" + START + b"Subject: t\r\n\r\nhello\r\n..dot\r\n.x\r\n.\r\n", TCPREMOTEINFO="joe user"
    )
    lines = message.split(b"\n")
    assert lines[0] == b"Received: from client.example.net (HELO other.name) (joe?user@192.0.2.7)"
    assert lines[1].startswith(b"  by mx.example.org with SMTP; ") and lines[1].endswith(b" -0000")
    assert lines[2:] == [b"Subject: t", b"", b"hello", b".dot", b"x", b""]
    assert envelope == b"Fa@b.example\0Tx@mail.example.org\0\0"


def test_the_reply_names_time_and_process_of_the_queue(host: Host) -> None:
    now = time.time()
    words = host.replies(START + b".\r\n").removeprefix(OK * 2 + GO).split()
    assert words[:2] == [b"250", b"ok"] and words[3] == b"qp"
    assert now - 1 <= int(words[2]) <= time.time()
    assert int(words[4]) > 1


@pytest.mark.parametrize(
    ("data", "replies"),
    [
        (b"hello\nworld\r\n.\r\n", b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"),  # 11
        (b"hello\r\n.\n", b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"),  # 12
        (b"hello\r\n", b""),  # 14
        (b"x" * 200_000, b""),
    ],
)
def test_half_a_mail_is_never_queued(host: Host, data: bytes, replies: bytes) -> None:
    done = host.talk(START + data)
    assert (done.code, done.out) == (1, GREETING + OK * 2 + GO + replies)
    assert REFUSED.fullmatch(done.err.rstrip(b"\n")) if replies else done.err == b""
    envelope = host.home / "envelope"
    assert not envelope.exists() or envelope.read_bytes() == b""


@pytest.mark.parametrize(
    ("control", "variable", "size", "fits"),
    [("20", None, 20, True), ("20", None, 21, False), ("20", "", 21, True), ("20", "abc", 21, True),
     ("20", "0", 21, True), ("99", "20", 21, False)],
)  # fmt: skip
def test_databytes_limits_a_mail(host: Host, control: str, variable: str | None, size: int, fits: bool) -> None:  # 25
    host.set("databytes", control)
    env = {} if variable is None else {"DATABYTES": variable}
    answer = host.replies(START + b"x" * (size - 1) + b"\r\n.\r\n", **env)
    expected = b"250 ok " if fits else b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"
    assert answer.removeprefix(OK * 2 + GO).startswith(expected)
    assert (host.home / "envelope").read_bytes().endswith(b"\0\0") == fits


@pytest.mark.parametrize(
    ("status", "text", "reply"),
    [
        ("31", "", b"554 mail server permanently rejected message (#5.3.0)\r\n"),
        ("53", "", b"451 qq write error or disk full (#4.3.0)\r\n"),
        ("12", "", b"554 qq permanent problem (#5.3.0)\r\n"),
        ("100", "", b"451 qq temporary problem (#4.3.0)\r\n"),
        ("120", "", b"451 unable to exec qq (#4.3.0)\r\n"),
        ("82", "Dcustom perm", b"554 custom perm\r\n"),
        ("82", "Zcustom temp", b"451 custom temp\r\n"),
        ("82", "xyz", b"451 yz\r\n"),
        ("82", "Dx", b"451 qq temporary problem (#4.3.0)\r\n"),
    ],
)
def test_what_the_queue_program_says_becomes_the_reply(host: Host, status: str, text: str, reply: bytes) -> None:  # 28
    assert host.replies(START + b".\r\n", STATUS=status, TEXT=text) == OK * 2 + GO + reply


def test_a_queue_program_that_is_missing_is_temporary(host: Host) -> None:
    reply = b"451 unable to exec qq (#4.3.0)\r\n"
    assert host.replies(START + b".\r\n", QMAILQUEUE="missing") == OK * 2 + GO + reply
    assert host.replies(START + b".\r\n", QMAILQUEUE="") == OK * 2 + GO + reply


def test_a_mail_of_any_size_takes_no_more_memory(host: Host) -> None:
    reader, writer = os.pipe()
    process = host.start(reader, subprocess.DEVNULL)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (48 << 20, 48 << 20))  # of which the interpreter maps 15
    os.close(reader)
    with open(writer, "wb", buffering=0) as client:
        for piece in (START, *(b"seventy bytes or so of text in a line\r\n" * 1000,) * 1500):
            view = memoryview(piece)
            while view:
                view = view[client.write(view) or 0 :]
        client.write(b".\r\nQUIT\r\n")
    assert process.wait() == 0
    assert (host.home / "message").stat().st_size > 55_000_000


def queued(host: Host) -> list[str]:
    """Every file of a message in the instance's own queue, by its directory."""
    names = ("pid", "intd", "todo", "mess")
    return [name for name in names for _, _, files in os.walk(host.home / "queue" / name) for _ in files]


def test_without_a_queue_program_mail_goes_into_the_queue_itself(host: Host) -> None:
    queuetree.create(Instance(os.fsencode(host.home)))
    del host.env["QMAILQUEUE"]
    assert host.replies(START + b"hello\r\n.\r\n").startswith(OK * 2 + GO + b"250 ok ")
    assert sorted(queued(host)) == ["intd", "mess", "todo"]
    message = next(path for path in (host.home / "queue" / "mess").rglob("*") if path.is_file())
    assert message.read_bytes().endswith(b"\nhello\n")


@pytest.mark.parametrize("data", [b"hello\r\n", b"hello\nworld\r\n.\r\n", b"Received: x\r\n" * 100 + b".\r\n"])
def test_a_mail_that_is_not_accepted_leaves_nothing_in_the_queue(host: Host, data: bytes) -> None:
    queuetree.create(Instance(os.fsencode(host.home)))
    del host.env["QMAILQUEUE"]
    assert host.talk(START + data).code == 1
    assert queued(host) == []


def test_a_flood_of_recipients_ends_at_the_memory_limit(host: Host) -> None:
    (host.home / "in").write_bytes(b"MAIL <>\r\n" + b"RCPT <%b>\r\n" % (b"x" * 800) * 100_000)
    command = f"ulimit -v 80000; exec {launchers.ours('qmail-smtpd')} <in"
    done = launchers.run("/bin/sh", "-c", command, env=host.env, cwd=host.home)
    assert (done.code, done.err) == (1, b"")
    assert done.out.endswith(OK + b"421 out of memory (#4.3.0)\r\n")


# --- policy


def test_a_refusal_is_logged_in_one_line_whatever_the_client_has_said(host: Host) -> None:
    done = host.talk(
        b"MAIL FROM:<a b\x1b[31m@\xff>\r\nRCPT TO:<\x07x@no.example>\r\nQUIT\r\n", TCPREMOTEIP="2001:db8::7"
    )
    line = rb"qmail-smtpd: 2001:db8::7 pid \d+: from <a_b_\[31m@_> to <_x@no\.example> 553 sorry, that domain isn't"
    assert re.fullmatch(line + rb" in my list of allowed rcpthosts \(#5\.7\.1\)\n", done.err)
    assert host.talk(START + b".\r\n", STATUS="82", TEXT="Dno\nno\x1b").err.endswith(b"from <a@b.example> 554 no?no?\n")


def test_nothing_is_logged_where_the_log_is_the_client(host: Host) -> None:
    ours, theirs = socket.socketpair()
    env = {"PATH": os.environ["PATH"], **host.env}
    process = subprocess.Popen([launchers.ours("qmail-smtpd")], stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    theirs.close()
    ours.sendall(b"MAIL <>\r\nRCPT <x@no.example>\r\nQUIT\r\n")
    assert receive(ours, lambda data: False) == GREETING + OK + NO_GATEWAY + BYE
    assert process.wait() == 0


def test_refusals_without_number_are_logged_a_hundred_times(host: Host) -> None:
    lines = host.talk(b"MAIL <>\r\n" + b"RCPT <x@no.example>\r\n" * 1000).err.splitlines()
    assert len(lines) == 100 and lines[99].endswith(b"(more is not logged)")


@pytest.mark.parametrize(
    ("control", "env", "replies"),
    [
        (None, {}, "reject"),
        (None, {"BARELF": "normalize"}, "taken"),
        ("normalize\n", {}, "taken"),
        ("normalize\n", {"BARELF": "reject"}, "reject"),
        (None, {"BARELF": "allow"}, "twice"),
        ("allow\n", {}, "twice"),
        (None, {"ALLOW_BARELF": ""}, "twice"),
        (None, {"BARELF": "yes"}, "reject"),
    ],
)
def test_bare_newlines_are_what_the_administrator_says(
    host: Host, control: str | None, env: dict[str, str], replies: str
) -> None:
    if control:
        host.set("barelf", control)
    done = host.talk(START + b"a\n.\n" + START + b"b\r\n.\r\nQUIT\r\n", **env)
    assert (b"none of reject, normalize, allow" in done.err) == (env.get("BARELF") == "yes")
    accepted = done.out.count(b"\r\n250 ok 1")
    assert (accepted, b"smtplf" in done.out) == {"reject": (0, True), "taken": (1, False), "twice": (2, False)}[replies]
    if replies == "taken":
        assert host.stored()[0].endswith(b"\na\n.\n" + START.replace(b"\r", b"") + b"b\n")


def test_ehlo_offers_the_size_that_databytes_allows(host: Host) -> None:
    said = b"EHLO x\r\nMAIL FROM:<a@b> SIZE=1001\r\nMAIL FROM:<a@b> SIZE=1000\r\nQUIT\r\n"
    done = host.talk(said, DATABYTES="1000")
    assert b"\r\n250-SIZE 1000\r\n" in done.out
    too_big = b"552 5.3.4 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"
    assert done.out.endswith(too_big + b"250 2.1.0 ok\r\n221 2.0.0 mail.example.org\r\n")


def test_a_recipient_at_an_ipv6_address_of_ours_is_at_localiphost(host: Host) -> None:
    _, envelope = host.taken(b"MAIL <>\r\nRCPT TO:<x@[IPv6:0:0::1]>\r\nDATA\r\n.\r\n")
    assert envelope == b"F\0Tx@mail.example.org\0\0"


def test_rcpthosts_that_is_empty_differs_from_none(host: Host) -> None:  # 33
    data = b"MAIL FROM:<>\r\nRCPT TO:<x@m.example>\r\nRCPT TO:<x>\r\n"
    host.set("rcpthosts", "")
    assert host.replies(data) == OK + NO_GATEWAY + OK
    (host.control / "rcpthosts").unlink()
    assert host.replies(data) == OK * 3


def test_a_damaged_database_ends_the_session_when_it_is_needed(host: Host) -> None:  # 34
    with open(host.control / "morercpthosts.cdb", "wb") as file:
        maker = cdbx.CDB.make(file)
        maker.add(b"big.example", b"")
        maker.commit()
    data = b"MAIL FROM:<>\r\nRCPT TO:<x@mail.example.org>\r\nRCPT TO:<x@big.example>\r\n"
    assert host.replies(data) == OK * 3
    os.truncate(host.control / "morercpthosts.cdb", 2060)
    assert host.talk(data + b"NOOP\r\n") == launchers.Result(1, GREETING + OK * 2 + NO_CONTROLS, b"")


def test_relayclient_badmailfrom_and_localiphost_are_honoured(host: Host) -> None:  # 20, 22, 24
    host.set("badmailfrom", "@Evil.example\n")
    data = b"MAIL FROM:<x@EVIL.example>\r\nRCPT TO:<y>\r\n"
    data += b"MAIL FROM:<a@[127.0.0.1]>\r\nRCPT TO:<x@any.example>\r\nDATA\r\n.\r\n"
    _, envelope = host.taken(data, RELAYCLIENT="@relay.example")
    assert envelope == b"Fa@mail.example.org\0Tx@any.example@relay.example\0\0"
    assert b"badmailfrom list" in host.replies(data)


# --- bad input


def test_a_line_of_megabytes_ends_the_session(host: Host) -> None:
    done = host.talk(b"x" * 3_000_000 + b"\r\nNOOP\r\n")
    assert done == launchers.Result(1, GREETING + b"421 out of memory (#4.3.0)\r\n", b"")


def test_nuls_cut_commands_and_stay_in_mails(host: Host) -> None:
    message, envelope = host.taken(b"NOOP\0x\r\nMAIL FROM:<a\0b>\r\nRCPT TO:<c>\r\nDATA\0\r\nx\0y\r\n.\r\n")
    assert message.endswith(b"\nx\0y\n")
    assert envelope == b"Fa\0Tc\0\0"


def test_a_hundred_thousand_recipients_are_taken(host: Host) -> None:
    _, envelope = host.taken(b"MAIL <>\r\n" + b"RCPT <x@mail.example.org>\r\n" * 100_000 + b"DATA\r\n.\r\n")
    assert envelope.count(b"\0") == 100_002


@pytest.fixture(params=["ours", "ours by exec", "the original"])
def port(host: Host, request: pytest.FixtureRequest) -> Iterator[int]:
    """A tcpserver that runs qmail-smtpd: as a pool, by exec, and C tcpserver."""
    find = launchers.original if request.param == "the original" else launchers.ours
    env = {"PATH": os.environ["PATH"], **host.env}
    if request.param == "ours by exec":
        env["UCSPI_EXEC"] = "1"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
    words = [find("tcpserver"), "-RHl0", "127.0.0.1", str(free), launchers.ours("qmail-smtpd")]
    server = subprocess.Popen(words, env=env)
    yield free
    server.terminate()
    server.wait()


def connect(port: int) -> socket.socket:
    for _ in range(500):
        try:
            return socket.create_connection(("127.0.0.1", port), 10)
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise AssertionError("no server")


def test_connections_served_one_after_the_other_share_nothing(host: Host, port: int) -> None:
    talks = [
        (b"HELO one\r\n" + START + b"half", b"250 mail.example.org\r\n" + OK * 2 + GO),  # and then it is gone
        (b"DATA\r\nQUIT\r\n", b"503 MAIL first (#5.5.1)\r\n" + BYE),
        (START + b"x\n.\r\n", OK * 2 + GO + b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"),
        (b"MAIL <>\r\nRCPT <x@no.example>\r\nQUIT\r\n", OK + NO_GATEWAY + BYE),
    ]
    for said, heard in talks * 2:
        with connect(port) as client:
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            assert receive(client, lambda data: False) == GREETING + heard
    with connect(port) as client:
        client.sendall(START + b"y\r\n.\r\nQUIT\r\n")
        assert receive(client, lambda data: False).startswith(GREETING + OK * 2 + GO + b"250 ok ")
    message = (host.home / "message").read_bytes()
    assert message.startswith(b"Received: from unknown (127.0.0.1)\n  by 0 with SMTP; ")  # no HELO, no name
    assert message.endswith(b" -0000\ny\n")
