"""qmail-local on real descriptors, in a process of its own."""

from __future__ import annotations

import os
import signal

import pytest

from qmail.local import main
from ucspi.core import chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

MESSAGE = b"Subject: x\n\nbody\n"
# Stands for any queue program: keeps what it is given, then exits as told.
QUEUE = b'#!/bin/sh\ncat >"$KEEP.message"\ncat <&1 >"$KEEP.envelope"\nprintf "$TEXT" >&6\nexit $CODE\n'


class Home:
    """A user's home, and qmail-local run for its owner."""

    def __init__(self, path: Path) -> None:
        self.path = path / "home"
        self.path.mkdir()
        self.message = path / "message"
        self.message.write_bytes(MESSAGE)
        self.queue = path / "queue"
        self.queue.write_bytes(QUEUE)
        self.queue.chmod(0o755)
        self.env = {
            b"PATH": b"/bin:/usr/bin",
            b"QMAILHOME": os.fsencode(path),
            b"QMAILQUEUE": os.fsencode(self.queue),
            b"KEEP": os.fsencode(path / "kept"),
            b"CODE": b"0",
        }
        for part in ("tmp", "new", "cur"):
            (self.path / "M" / part).mkdir(parents=True)

    def dot(self, text: bytes, name: str = ".qmail", mode: int = 0o644) -> None:
        (self.path / name).write_bytes(text)
        (self.path / name).chmod(mode)

    def run(
        self, ext: bytes = b"", *options: bytes, sender: bytes = b"s@s", default: bytes = b"./Mailbox"
    ) -> tuple[int, bytes]:
        """Exit code, and what both outputs hear."""
        dash = b"-" if ext else b""
        words = [b"tess", os.fsencode(self.path), b"tess" + dash + ext, dash, ext, b"h.example", sender, default]
        return self.call(*options, b"--", *words)

    def call(self, *words: bytes) -> tuple[int, bytes]:
        out, output = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                os.dup2(os.open(self.message, os.O_RDONLY), 0)
                os.dup2(output, 1)
                os.dup2(output, 2)
                code = chain.Process().run(main, [b"qmail-local", *words], self.env)
            finally:
                os._exit(code)
        os.close(output)
        said = b""
        while data := os.read(out, 65536):
            said += data
        os.close(out)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said

    def mails(self) -> list[bytes]:
        return [file.read_bytes() for file in (self.path / "M" / "new").iterdir()]

    def kept(self, what: str) -> bytes:
        return (self.path.parent / f"kept.{what}").read_bytes()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


USAGE = b"qmail-local: usage: qmail-local [ -nN ] user homedir local dash ext domain sender aliasempty\n"


@pytest.mark.parametrize("words", [[], [b"a"] * 8, [b"u", b"/", *[b"x"] * 5], [b"u", b"/", *[b"x"] * 7]])
def test_eight_words_and_an_absolute_home_are_needed(home: Home, words: list[bytes]) -> None:
    assert home.call(*words) == (100, USAGE)


def test_a_file_of_all_kinds_is_carried_out_in_order_and_forwarded_last(home: Home) -> None:
    home.dot(b"# all\n&a@b\n./M/\n./mb\n| cat >p\nc@d\n./M/\n")
    code, said = home.run()
    assert code == 0
    assert said.startswith(b"did 3+2+1\nqp ")
    assert home.mails() == [b"Return-Path: <s@s>\nDelivered-To: tess@h.example\n" + MESSAGE] * 2
    lines = (home.path / "mb").read_bytes().split(b"\n")
    assert lines[0].startswith(b"From s@s ")
    assert lines[1:] == [b"Return-Path: <s@s>", b"Delivered-To: tess@h.example", *MESSAGE.split(b"\n"), b""]
    assert (home.path / "p").read_bytes() == MESSAGE
    assert home.kept("message") == b"Delivered-To: tess@h.example\n" + MESSAGE
    assert home.kept("envelope") == b"Fs@s\0Ta@b\0Tc@d\0\0"


def test_addresses_are_taken_as_they_stand_and_99_ends_the_file(home: Home) -> None:
    home.dot(b"& sp@b\n&\n|exit 99\n&never@x\n")
    code, said = home.run()
    assert (code, said[:13]) == (0, b"did 0+2+1\nqp ")
    assert home.kept("envelope") == b"Fs@s\0T sp@b\0T\0\0"


def test_without_a_file_the_default_delivery_is_carried_out(home: Home) -> None:
    assert home.run(default=b"./M/") == (0, b"did 1+0+0\n")
    home.dot(b"", mode=0o744)
    assert home.run(default=b"./M/") == (0, b"did 1+0+0\n")
    assert len(home.mails()) == 2
    assert home.run(default=b"") == (111, b"Uh-oh: first line of .qmail file is blank. (#4.2.1)\n")


def test_an_address_without_a_file_does_not_exist(home: Home) -> None:
    assert home.run(b"x") == (100, b"Sorry, no mailbox here by that name. (#5.1.1)\n")


EXITS = [(code, 100) for code in (64, 65, 70, 76, 77, 78, 100, 112)]
EXITS += [(code, 111) for code in (1, 66, 71, 74, 75, 101, 111, 113, 255)]


@pytest.mark.parametrize(("code", "expected"), EXITS)
def test_a_programs_failure_stops_everything(home: Home, code: int, expected: int) -> None:
    home.dot(b"a@b\n|echo why; exit %d\n./M/\n" % code)
    assert home.run() == (expected, b"why\n")
    assert home.mails() == []
    assert not (home.path.parent / "kept.envelope").exists()


def test_a_program_that_crashes_is_temporary(home: Home) -> None:
    home.dot(b"|kill -9 $$\n")
    assert home.run() == (111, b"Aack, child crashed. (#4.3.0)\n")


def test_each_program_reads_the_whole_message_at_home_with_three_descriptors(home: Home) -> None:
    home.dot(b"|cat\n|cat\n|pwd; ls /proc/self/fd | tr '\\n' ' '; umask\n")
    extra = os.dup(0)  # somebody's descriptor, left open for us
    os.set_inheritable(extra, True)
    try:
        code, said = home.run()
    finally:
        os.close(extra)
    at_home = os.fsencode(os.path.realpath(home.path))
    assert (code, said) == (0, MESSAGE * 2 + at_home + b"\n0 1 2 3 0077\ndid 0+0+3\n")  # 3: the directory ls reads


def test_a_program_may_die_of_a_broken_pipe(home: Home) -> None:
    # If SIGPIPE were ignored, yes would report a write error and exit 1.
    home.dot(b"|yes | head -1; grep SigIgn /proc/self/status\n")
    code, said = home.run()
    ignored = int(said.split()[2], 16)
    assert (code, said[:2], ignored & (1 << signal.SIGPIPE - 1)) == (0, b"y\n", 0)


def test_programs_see_the_address_in_their_environment(home: Home) -> None:
    home.dot(b'|echo "$DEFAULT $EXT $LOCAL $HOST $SENDER $NEWSENDER $USER $HOME"\n', ".qmail-foo-default")
    code, said = home.run(b"Foo-B.c")
    expected = b"B.c Foo-B.c tess-Foo-B.c h.example s@s s@s tess " + os.fsencode(home.path)
    assert (code, said) == (0, expected + b"\ndid 0+0+1\n")


def test_default_is_inherited_where_no_default_file_is_used(home: Home) -> None:
    home.env[b"DEFAULT"] = b"older"
    home.dot(b'|echo "$DEFAULT"\n')
    assert home.run() == (0, b"older\ndid 0+0+1\n")


def test_forwarded_mail_of_a_list_comes_from_its_owner(home: Home) -> None:
    home.dot(b"a@b\n", ".qmail-l")
    home.dot(b"o@b\n", ".qmail-l-owner")
    assert home.run(b"l")[0] == 0
    assert home.kept("envelope") == b"Ftess-l-owner@h.example\0Ta@b\0\0"
    home.dot(b"o@b\n", ".qmail-l-owner-default")
    assert home.run(b"l")[0] == 0
    assert home.kept("envelope") == b"Ftess-l-owner-@h.example-@[]\0Ta@b\0\0"


QUEUE_ENDS = [
    (b"31", b"", 100, b"mail server permanently rejected message (#5.3.0)"),
    (b"53", b"", 111, b"qq write error or disk full (#4.3.0)"),
    (b"82", b"Dcustom perm (#5.7.1)", 100, b"custom perm (#5.7.1)"),
    (b"82", b"Zcustom temp", 111, b"custom temp"),
]


@pytest.mark.parametrize(("status", "text", "code", "said"), QUEUE_ENDS)
def test_trouble_with_the_queue_is_reported(home: Home, status: bytes, text: bytes, code: int, said: bytes) -> None:
    home.env |= {b"CODE": status, b"TEXT": text}
    home.dot(b"a@b\n./M/\n")
    assert home.run() == (code, b"Unable to forward message: " + said + b".\n")
    assert len(home.mails()) == 1  # files come first, and are not undone


FORWARD_ONLY = [
    (b"+list\n./M/\n", 0o644, b"Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)\n"),
    (b"|prog\n", 0o744, b"Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)\n"),
]


@pytest.mark.parametrize(("text", "mode", "said"), FORWARD_ONLY)
def test_a_list_may_only_forward(home: Home, text: bytes, mode: int, said: bytes) -> None:
    home.dot(text, mode=mode)
    assert home.run() == (111, said)
    assert home.mails() == []


HOMES = [
    (0o757, b"Uh-oh: home directory is writable. (#4.7.0)\n"),
    (0o1755, b"Home directory is sticky: user is editing his .qmail file. (#4.2.1)\n"),
]


@pytest.mark.parametrize(("mode", "said"), HOMES)
def test_a_home_that_is_open_or_being_edited_waits(home: Home, mode: int, said: bytes) -> None:
    home.path.chmod(mode)
    assert home.run() == (111, said)


def test_a_home_may_be_group_writable_and_must_be_there(home: Home) -> None:
    home.path.chmod(0o775)
    assert home.run(default=b"#") == (0, b"did 0+0+0\n")
    home.path = home.path / "no"
    text = b"Unable to switch to %b: file does not exist. (#4.3.0)\n" % os.fsencode(home.path)
    assert home.run() == (111, text)


def test_a_message_in_a_loop_is_bounced_unless_the_line_is_in_its_body(home: Home) -> None:
    home.message.write_bytes(b"Delivered-To: tess@h.example\n" + MESSAGE)
    text = b"This message is looping: it already has my Delivered-To line. (#5.4.6)\n"
    assert home.run(default=b"./M/") == (100, text)
    home.message.write_bytes(MESSAGE + b"Delivered-To: tess@h.example\n")
    assert home.run(default=b"./M/") == (0, b"did 1+0+0\n")


def test_a_message_on_a_pipe_cannot_be_delivered(home: Home) -> None:
    home.message.unlink()
    os.mkfifo(home.message)
    holder = os.open(home.message, os.O_RDWR)
    try:
        assert home.run(default=b"./M/") == (111, b"Unable to rewind message. (#4.3.0)\n")
    finally:
        os.close(holder)


def test_with_n_it_says_what_it_would_do(home: Home) -> None:
    home.path.chmod(0o1755)
    home.message.write_bytes(b"Delivered-To: tess@h.example\n\n")
    home.dot(b"./M/\n./mb\n| exit 1\n&a@b\nc@d\n")
    assert home.run(b"", b"-N", b"-n") == (
        0,
        b"Warning: home directory is sticky.\n"
        b"maildir ./M/\nmbox ./mb\nprogram  exit 1\nforward a@b\nforward c@d\ndid 2+2+1\n",
    )
    assert sorted(os.listdir(home.path)) == [".qmail", "M"]
