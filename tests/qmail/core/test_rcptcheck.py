"""Recipients looked for at RCPT time: users/cdb, accounts, .qmail files, virtualdomains, and a program."""

from __future__ import annotations

import os
import pwd
import time
from pathlib import Path

import pytest

from qmail.core import rcptcheck, users
from qmail.core.control import Control
from qmail.core.instance import Instance
from qmail.protocol.incoming import Recipient
from tests.support import launchers
from tests.support.instance import make_instance
from tests.support.storing import StoringHost
from ucspi.core import chain
from ucspi.core.command import Call, Program

NO_MAILBOX, TROUBLE = rcptcheck.NO_MAILBOX, rcptcheck.TROUBLE
START = b"MAIL FROM:<s@e.example>\r\n"


class World:
    """A single-user instance whose user has the addresses joe and joe-..., and all of virt.example."""

    def __init__(self, tmp_path: Path) -> None:
        control = {"locals": "here.example", "virtualdomains": "virt.example:joe-v\nno.virt.example:\n"}
        self.home = make_instance(tmp_path, percenthack="here.example", envnoathost="here.example", **control)
        self.user = tmp_path / "joe"
        self.user.mkdir()
        uid, gid = os.getuid(), os.getgid()
        joe = f"joe:{uid}:{gid}:{self.user}"
        self.assign(f"=joe:{joe}:::\n+joe-:{joe}:-::\n=other:other:{uid + 1}:{gid}:{self.user}:::\n.\n")
        for name in (".qmail-list", ".qmail-v-sales", ".qmail-dir-default", ".qmail-a:b"):
            (self.user / name).touch()
        (self.user / ".qmail-no").mkdir()

    def assign(self, text: str) -> None:
        fd = os.open(self.home / "users" / "cdb", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        users.build(fd, text.encode().splitlines(keepends=True))
        os.close(fd)

    def call(self, **env: str) -> Call:
        words = {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
        environment = {b"PATH": os.fsencode(launchers.directory()) + b":/bin:/usr/bin", **words}
        return Call(Program("qmail-smtpd", ""), [b"qmail-smtpd"], environment, chain.Process())

    def ask(self, recipient: bytes, **env: str) -> bytes:
        here = Instance(os.fsencode(self.home))
        question = Recipient(recipient, b"s@e.example", b"helo", False)
        for check in rcptcheck.load(self.call(**{"RCPTCHECK": "mailbox", **env}), here, Control(here.control)):
            if refusal := check(question):
                return refusal
        return b""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    ("recipient", "answer"),
    [
        (b"joe@here.example", b""),
        (b"JOE@HERE.example", b""),
        (b"joe", b""),  # envnoathost
        (b"joe%here.example@here.example", b""),
        (b"nobody%here.example@here.example", NO_MAILBOX),
        (b"joe-list@here.example", b""),
        (b"joe-LIST@here.example", b""),
        (b"joe-a.b@here.example", b""),
        (b"joe-dir-anything@here.example", b""),
        (b"joe-dir@here.example", NO_MAILBOX),
        (b"joe-nothing@here.example", NO_MAILBOX),
        (b"joe-no@here.example", NO_MAILBOX),  # a directory
        (b"joe-" + b"x" * 800 + b"@here.example", NO_MAILBOX),
        (b"joe-" + b"-" * 800 + b"@here.example", NO_MAILBOX),
        (b"joe-x/../../joe/.qmail-list@here.example", NO_MAILBOX),
        (b"nobody-has-this@here.example", NO_MAILBOX),
        (b"other@here.example", NO_MAILBOX),  # not the instance's user
        (b"sales@virt.example", b""),  # joe-v-sales
        (b"other@virt.example", NO_MAILBOX),
        (b"@here.example", b""),
        (b"", b""),
        (b"nobody@elsewhere.example", b""),
        (b"nobody@no.virt.example", b""),
    ],
)
def test_a_recipient_is_looked_for_as_a_delivery_would(world: World, recipient: bytes, answer: bytes) -> None:
    assert world.ask(recipient) == answer


def test_what_cannot_be_read_is_trouble_and_temporary(world: World) -> None:
    (world.home / "users" / "cdb").write_bytes(b"rubbish")
    assert world.ask(b"joe@here.example") == TROUBLE
    (world.home / "users" / "cdb").unlink()
    (world.home / "control" / "locals").unlink()
    os.symlink("locals", world.home / "control" / "locals")
    assert world.ask(b"joe@here.example") == TROUBLE
    (world.home / "control" / "locals").unlink()
    (world.home / "control" / "me").unlink()
    assert world.ask(b"joe@here.example") == TROUBLE


def test_a_home_that_is_not_there_is_trouble(world: World) -> None:
    world.user.rename(world.user.with_name("moved"))
    assert world.ask(b"joe-list@here.example") == TROUBLE
    assert world.ask(b"joe@here.example") == b""  # needs no file


def test_accounts_are_asked_where_no_database_knows_the_address(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.home / "users" / "cdb").unlink()
    account = pwd.struct_passwd(("joe", "x", os.getuid(), os.getgid(), "", str(world.user), "/bin/sh"))

    def getpwnam(name: str) -> pwd.struct_passwd:
        if name != "joe":
            raise KeyError(name)
        return account

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    root = os.getuid() == 0  # whose account no mail is for: there is no alias either
    assert world.ask(b"joe-list@here.example") == (NO_MAILBOX if root else b"")
    assert world.ask(b"joe-nothing@here.example") == NO_MAILBOX
    assert world.ask(b"nobody@here.example") == NO_MAILBOX


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody with fewer rights")
def test_what_it_may_not_look_at_it_does_not_judge(world: World) -> None:
    os.chmod(world.user, 0o700)
    for directory in (world.home, *world.home.parents[:-1]):
        os.chmod(directory, os.stat(directory).st_mode | 0o055)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setuid(65534)
            code = 0 if world.ask(b"joe-nothing@here.example") == b"" else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert world.ask(b"joe-nothing@here.example") == NO_MAILBOX


def test_it_is_off_unless_asked_for_and_for_those_who_may_send_anywhere(world: World) -> None:
    nobody = b"nobody-has-this@here.example"
    assert world.ask(nobody, RCPTCHECK="") == b""
    assert world.ask(nobody, RELAYCLIENT="") == b""
    assert world.ask(nobody, RELAYCLIENT="", RCPTCHECKRELAYCLIENT="") == NO_MAILBOX


def script(world: World, text: str) -> str:
    file = world.home / "check"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return "./check an argument"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("exit 0", b""),
        ("exit 112", b""),
        ("exit 100", NO_MAILBOX),
        ("exit 111", TROUBLE),
        ("exit 113", rcptcheck.TOO_MUCH),
        ("exit 1", TROUBLE),
        ("kill -9 $$", TROUBLE),
        ("printf 'no such user\\033\\nsecond' >&4; exit 100", b"550 no such user?"),
        ("echo greylisted >&4; exit 111", b"451 greylisted"),
        ("echo fine >&4; exit 0", b""),
        ("echo not for the client; exit 100", NO_MAILBOX),
        ("head -c 9000 /dev/zero | tr '\\0' x >&4; exit 100", b"550 " + b"x" * 255),
        ("sleep 30 & exit 100", NO_MAILBOX),  # it holds the pipe
        ('[ "$SENDER $RECIPIENT $HELO $1 $#" = "s@e.example x y@z helo an 2" ] && exit 0; exit 100', b""),
        ("read line && exit 100; exit 0", b""),
    ],
)
def test_a_program_says_yes_or_no_or_later(world: World, text: str, answer: bytes) -> None:
    assert world.ask(b"x y@z", RCPTCHECK=script(world, text)) == answer


def test_a_program_that_is_not_there_is_trouble(world: World) -> None:
    assert world.ask(b"x", RCPTCHECK="./none") == TROUBLE
    assert world.ask(b"x", RCPTCHECK="no-such-program") == TROUBLE


def test_a_program_that_does_not_end_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rcptcheck, "PATIENCE", 0.2)
    began = time.monotonic()
    assert world.ask(b"x", RCPTCHECK=script(world, "exec sleep 60")) == TROUBLE
    assert time.monotonic() - began < 30


def test_qmail_smtpd_asks_each_line_of_the_control_file(tmp_path: Path) -> None:
    host = StoringHost(tmp_path, "qmail-smtpd")
    host.set("locals", "mail.example.org\n")
    host.set("rcptcheck", "# comment\nmailbox\n./check\n")
    (tmp_path / "check").write_text('#!/bin/sh\ncase $RECIPIENT in bad*) echo "bad $HELO" >&4; exit 100;; esac\n')
    (tmp_path / "check").chmod(0o755)
    (tmp_path / "queue").mkdir()
    addresses = (b"nobody-has-this@mail.example.org", b"bad@other.example", b"good@other.example")
    host.set("rcpthosts", "mail.example.org\nother.example\n")
    said = START + b"".join(b"RCPT TO:<%b>\r\n" % address for address in addresses) + b"QUIT\r\n"
    done = host.talk(b"HELO me\r\n" + said)
    assert done.out.splitlines()[2:-1] == [b"250 ok", NO_MAILBOX, b"550 bad me", b"250 ok"]
    assert [line.partition(b" to ")[2] for line in done.err.splitlines()] == [
        b"<nobody-has-this@mail.example.org> " + NO_MAILBOX,
        b"<bad@other.example> 550 bad me",
    ]
    extended = host.talk(b"EHLO me\r\n" + said, RCPTCHECK="mailbox")
    assert b"\r\n550 5.1.1 " + NO_MAILBOX[4:] + b"\r\n250 2.1.5 ok\r\n250 2.1.5 ok\r\n" in extended.out
    assert host.talk(said, RCPTCHECK="").out.count(b"250 ok") == 4


def test_qmail_qmtpd_asks_as_well(tmp_path: Path) -> None:
    host = StoringHost(tmp_path, "qmail-qmtpd")
    (tmp_path / "queue").mkdir()
    data = b"2:\nx,1:s,36:32:nobody-has-this@mail.example.org,,"
    done = host.talk(data, RCPTCHECK="mailbox")
    assert done.out == b"46:Dsorry, no mailbox here by that name. (#5.1.1),"
