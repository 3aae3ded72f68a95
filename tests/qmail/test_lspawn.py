"""qmail-lspawn: from a command to the report of a delivery."""

from __future__ import annotations

import os
import signal
import tempfile
import traceback
from pathlib import Path

import pytest

from qmail.core import instance
from qmail.core.spawn import Spawner
from qmail.core.spawnproto import ReportReader, pack_command
from qmail.lspawn import PROGRAM, LocalDelivery, Setting, main, report
from qmail.newu import main as newu
from tests.support.instance import make_instance
from tests.support.launchers import directory
from ucspi.core import chain
from ucspi.core.command import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NO_MAILBOX = b"DSorry, no mailbox here by that name. (#5.1.1)\n"
MESSAGE = b"Subject: x\n\nbody\n"


class Site:
    """An instance with one message, 5/28, and the user tess, who is whoever runs the test."""

    def __init__(self, path: Path) -> None:
        self.path = make_instance(path)
        self.home = path / "tess"
        for part in ("tmp", "new", "cur"):
            (self.home / "M" / part).mkdir(parents=True)
        self.mess = self.path / "queue" / "mess" / "5" / "28"
        self.mess.write_bytes(MESSAGE)
        self.env = {b"QMAILHOME": os.fsencode(self.path), b"PATH": os.fsencode(directory()) + b":/bin:/usr/bin"}
        self.assign(b"=tess:tess:%d:%d:%b:::" % (os.getuid(), os.getgid(), os.fsencode(self.home)))

    def assign(self, *lines: bytes) -> None:
        (self.path / "users" / "assign").write_bytes(b"\n".join((*lines, b".\n")))
        assert newu([b"qmail-newu"], self.env, chain.Process()) == 0

    def program(self, name: str, script: bytes) -> None:
        """A foreign program in the instance's bin."""
        file = self.path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"#!/bin/sh\n" + script)
        file.chmod(0o755)

    def deliver(self, *recipients: bytes, serve: Callable[[], int] | None = None) -> list[bytes]:
        """The reports for one command per recipient, in the commands' order."""
        commands = b"".join(pack_command(i, b"5/28", b"s@s", r) for i, r in enumerate(recipients))
        said = converse(serve or self.serve, commands)
        assert said[:1] == b"x"
        reports = {delnum: letter + text for delnum, letter, text in ReportReader().feed(said[1:])}
        return [reports[i] for i in range(len(recipients))]

    def serve(self) -> int:
        return chain.Process().run(main, [b"qmail-lspawn", b"./Mailbox"], self.env)


def converse(serve: Callable[[], int], commands: bytes) -> bytes:
    """What `serve` writes when it reads these commands, in a process of its own that must exit 0."""
    command_out, command_in = os.pipe()
    report_out, report_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            signal.alarm(20)
            os.dup2(command_out, 0)
            os.dup2(report_in, 1)
            os.closerange(3, 65536)  # all there may be: the commands end when nobody holds their other end
            code = serve()
        except BaseException:
            os.write(2, traceback.format_exc().encode())  # for whoever reads why a test failed
        finally:
            os._exit(code)
    os.close(command_out)
    os.close(report_in)
    os.write(command_in, commands)
    os.close(command_in)
    said = b""
    while data := os.read(report_out, 65536):
        said += data
    os.close(report_out)
    assert os.waitpid(pid, 0)[1] == 0
    return said


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("how", [b"", b"1"])
def test_sigchld_may_have_been_ignored_by_whoever_started_it(site: Site, how: bytes) -> None:
    site.env[chain.EXEC] = how
    (site.home / ".qmail").write_bytes(b"|true\n./M/\n")

    def serve() -> int:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        return site.serve()

    # Without knowledge of how children end each delivery would be put off, and so repeated, when it is done.
    assert site.deliver(b"tess@h", b"tess@h", serve=serve) == [b"Kdid 1+0+1\n"] * 2


# The table of 6.2; codes that qmail-local never gives are temporary here, and so is 126: DESIGN section 4.
STATUS = [
    (9, b"Zqmail-local crashed.\n"),
    (0, b"Kout\n"),
    (100 << 8, b"Dout\n"),
    *((code << 8, b"Zout\n") for code in (111, 71, 74, 75, 1, 2, 99, 101, 127, 255)),
    (112 << 8, b"ZInternal qmail-lspawn bug.\n"),
    (113 << 8, b"ZNot allowed to perform deliveries as root.\n"),
    (115 << 8, b"ZNFS failure in qmail-local.\n"),
    (116 << 8, b"ZUnable to find alias user!\n"),
    (117 << 8, b"ZTrouble reading users/cdb in qmail-lspawn.\n"),
    (118 << 8, b"ZTemporary failure in qmail-lspawn.\n"),
    (119 << 8, b"ZOut of memory in qmail-lspawn.\n"),
    (120 << 8, b"ZUnable to run qmail-local.\n"),
    (126 << 8, b"ZUnable to run qmail-local.\n"),
    (121 << 8, b"ZUnable to run qmail-getpw.\n"),
]


@pytest.mark.parametrize(("status", "expected"), STATUS)
def test_the_end_of_qmail_local_makes_the_report(status: int, expected: bytes) -> None:
    assert report(status, b"out\n\0never shown") == expected


def test_it_needs_the_default_delivery_and_a_queue(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([b"qmail-lspawn"], site.env, chain.Process()) == 100
    assert capfd.readouterr() == ("", "")
    site.env[b"QMAILHOME"] = b"/nonexistent"
    assert main([b"qmail-lspawn", b"./Mailbox"], site.env, chain.Process()) == 111


def test_a_message_is_delivered_as_the_users_file_says(site: Site) -> None:
    (site.home / ".qmail").write_bytes(b"./M/\n|cat\n")
    assert site.deliver(b"tess@h.example", b"TESS@H") == [b"K" + MESSAGE + b"did 1+0+1\n"] * 2
    mails = sorted(file.read_bytes() for file in (site.home / "M" / "new").iterdir())
    assert mails == [b"Return-Path: <s@s>\nDelivered-To: %b\n" % to + MESSAGE for to in (b"TESS@H", b"tess@h.example")]


def test_without_a_file_the_argument_is_the_delivery(site: Site) -> None:
    assert site.deliver(b"tess@h") == [b"Kdid 1+0+0\n"]
    assert (site.home / "Mailbox").read_bytes().endswith(b"\nDelivered-To: tess@h\n" + MESSAGE + b"\n")


def test_an_empty_local_part_is_delivered_to_nowhere(site: Site) -> None:
    assert site.deliver(b"@host") == [b"K"]


def test_a_foreign_qmail_local_is_told_everything_and_started_in_the_instance(site: Site) -> None:
    site.program("qmail-local", b'pwd; cat; for word; do echo "<$word>"; done; exit 100\n')
    site.assign(b"+tess-:tess:%d:%d:/home/tess:-::" % (os.getuid(), os.getgid()))
    words = [b"--", b"tess", b"/home/tess", b"Tess-Foo.Bar", b"-", b"Foo.Bar", b"Host.EX", b"s@s", b"./Mailbox"]
    expected = b"D%b\n" % os.fsencode(os.path.realpath(site.path)) + MESSAGE
    assert site.deliver(b"Tess-Foo.Bar@Host.EX") == [expected + b"".join(b"<%b>\n" % word for word in words)]


def test_a_long_report_is_cut(site: Site) -> None:
    (site.home / ".qmail").write_bytes(b"|printf %06000d 0; exit 100\n")
    (text,) = site.deliver(b"tess@h")
    assert text == b"D" + b"0" * 2966 + b"\nError report too long, sorry.\n"


def test_in_a_single_user_instance_nobody_else_has_a_mailbox(site: Site) -> None:
    other = b":other:%d:1:%b:" % (os.getuid() + 1, os.fsencode(site.home))
    site.assign(b"=other" + other + b"::", b"=nosuch" + other + b"-:x:")
    assert site.deliver(b"other@h", b"nosuch@h") == [NO_MAILBOX] * 2


def test_without_a_line_for_the_address_the_password_file_decides(site: Site) -> None:
    site.program("qmail-getpw", b'printf "%%s\\0" tess %d 1 %b - "$1"\n' % (os.getuid(), os.fsencode(site.home)))
    (site.home / ".qmail-any").write_bytes(b"|echo $EXT\n")
    assert site.deliver(b"any@h") == [b"Kany\ndid 0+0+1\n"]
    (site.path / "users" / "cdb").unlink()
    assert site.deliver(b"any@h") == [b"Kany\ndid 0+0+1\n"]


def test_our_qmail_getpw_gives_strangers_to_alias_who_is_not_the_single_user(site: Site) -> None:
    assert site.deliver(b"nosuch-account-anywhere@h") == [NO_MAILBOX]


GETPW = [
    (b"exit 116", NO_MAILBOX),
    (b"exit 115", b"ZNFS failure in qmail-local.\n"),
    (b"exit 1", b"Z"),
    (b"kill -9 $$", b"ZTemporary failure in qmail-lspawn.\n"),
    (b"echo one", b"ZInternal qmail-lspawn bug.\n"),
    (b'printf "a\\0%d\\0001\\0/\\0-\\0x\\0" 4000000', NO_MAILBOX),
]


@pytest.mark.parametrize(("script", "expected"), GETPW)
def test_trouble_with_qmail_getpw_is_never_a_bounce(site: Site, script: bytes, expected: bytes) -> None:
    site.program("qmail-getpw", script + b"\n")
    assert site.deliver(b"any@h") == [expected]


def test_what_cannot_be_run_is_temporary(site: Site) -> None:
    for name in ("qmail-local", "qmail-getpw"):
        site.program(name, b"")
        (site.path / "bin" / name).chmod(0o600)
    expected = [b"ZUnable to run qmail-local.\n", b"ZUnable to run qmail-getpw.\n"]
    if os.geteuid() == 0:
        for name in ("qmail-local", "qmail-getpw"):
            (site.path / "bin" / name).unlink()
            (site.path / "bin" / name).symlink_to("/nonexistent")
    assert site.deliver(b"tess@h", b"any@h") == expected


def test_a_damaged_database_is_temporary(site: Site) -> None:
    (site.path / "users" / "cdb").write_bytes(b"x" * 3000)
    assert site.deliver(b"tess@h") == [b"ZTrouble reading users/cdb in qmail-lspawn.\n"]


# --- as root


class Classic(instance.Instance):
    """An instance as if the classic accounts existed: root's queue, and nobody's uid for all of them."""

    single = property(lambda self: False)  # type: ignore[assignment]

    def uid(self, name: str) -> int:
        return 65534

    def gid(self, name: str) -> int:
        return 65533


GETPW_ID = b'printf "%%s\\0" "$(id -u):$(id -g):$(id -G)" 12345 12346 %b - "$1"\n'


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
class TestAsRoot:
    """Uid 12345 is nobody's on any machine that runs tests."""

    def serve(self, site: Site) -> Callable[[], int]:
        def serve() -> int:
            os.chdir(site.path / "queue" / "mess")
            call = Call(PROGRAM, [b"qmail-lspawn", b"./Mailbox"], site.env, chain.Process())
            setting = Setting(call, Classic(os.fsencode(site.path)), b"./Mailbox")
            return Spawner(0, lambda command: LocalDelivery(command, setting), 3000).run()

        return serve

    @pytest.fixture
    def site(self) -> Iterator[Site]:
        """Not below tmp_path: pytest keeps that from everybody else."""
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            site = Site(Path(directory))
            for place in (site.home, *site.home.rglob("*")):
                os.chown(place, 12345, 12346)
            yield site

    def test_a_delivery_is_its_users_and_has_only_his_group(self, site: Site) -> None:
        site.assign(b"=tess:tess:12345:12346:%b:::" % os.fsencode(site.home))
        (site.home / ".qmail").write_bytes(b"|grep -E '^(Uid|Gid|Groups):' /proc/self/status\n./M/\n")
        (said,) = site.deliver(b"tess@h", serve=self.serve(site))
        uid, gid, groups, did = said.splitlines()
        assert (uid.split(), gid.split()) == ([b"KUid:"] + [b"12345"] * 4, [b"Gid:"] + [b"12346"] * 4)
        assert (groups.split(), did) == ([b"Groups:", b"12346"], b"did 1+0+1")
        (mail,) = (site.home / "M" / "new").iterdir()
        assert (mail.stat().st_uid, mail.stat().st_gid) == (12345, 12346)

    def test_nothing_is_delivered_as_root(self, site: Site) -> None:
        home = os.fsencode(site.home)
        site.assign(b"=r:r:0:0:%b:::" % home, b"=s:s:4294967296:0:%b:::" % home, b"=t:t:4294967295:0:%b:::" % home)
        assert site.deliver(b"r@h", b"s@h", b"t@h", serve=self.serve(site)) == [
            b"ZNot allowed to perform deliveries as root.\n",
            b"ZNot allowed to perform deliveries as root.\n",
            b"ZInternal qmail-lspawn bug.\n",
        ]

    def test_the_password_file_is_asked_by_a_harmless_user(self, site: Site) -> None:
        site.program("qmail-getpw", GETPW_ID % os.fsencode(site.home))
        (site.home / ".qmail-any").write_bytes(b"|echo $USER\n")
        assert site.deliver(b"any@h", serve=self.serve(site)) == [b"K65534:65533:65533\ndid 0+0+1\n"]
