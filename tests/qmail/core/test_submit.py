"""Handing in messages: in-process, through qmail-queued, and to foreign queue programs."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from qmail.core import submit
from qmail.core.instance import Instance
from tests.support import queues
from tests.support.queues import home as home
from ucspi.core import chain
from ucspi.core.command import Call, Program

PROGRAM = Program("qmail-smtpd", "test")
KEEP = "#!/bin/sh\ncat > message\ncat <&1 > envelope\n"  # also proves the working directory


def call(home: Instance, **env: bytes) -> Call:
    whole = {b"QMAILHOME": home.home, b"PATH": b"/usr/bin:/bin"} | {k.encode(): v for k, v in env.items()}
    return Call(PROGRAM, [b"qmail-smtpd"], whole, chain.Process())


def script(home: Instance, text: str, name: str = "filter") -> bytes:
    path = Path(os.fsdecode(home.home)) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return os.fsencode(path)


def hand_in(
    call: Call, home: Instance, message: bytes = b"hello\n", recipients: tuple[bytes, ...] = (b"c@d",)
) -> bytes:
    submission = submit.open_queue(call, home)
    submission.write(message)
    return submission.close(b"a@b", recipients)


def test_without_a_queue_program_the_message_goes_in_from_here(home: Instance) -> None:
    submission = submit.open_queue(call(home), home)
    for piece in (b"one\n", b"two\n"):
        submission.write(piece)
    assert submission.close(b"a@b", iter((b"c@d", b""))) == b""
    found = queues.files(home)
    assert submission.qp == os.getpid()
    assert found["mess"].endswith(b"\none\ntwo\n")
    assert found["todo"] == b"u%d\0p%d\0Fa@b\0Tc@d\0T\0" % (os.getuid(), os.getpid())


@pytest.mark.parametrize("end", ["fail", "abandon"])
def test_a_message_given_up_leaves_nothing(home: Instance, end: str) -> None:
    submission = submit.open_queue(call(home), home)
    submission.write(b"x" * 100000)
    if end == "fail":
        submission.fail()
        assert submission.close(b"a@b", [b"c@d"]) == b"Zqq read error (#4.3.0)"
    else:
        submission.abandon()
    assert queues.files(home) == {}


def test_an_address_too_long_is_permanent(home: Instance) -> None:
    assert hand_in(call(home), home, recipients=(b"x" * 1003,)) == b"Denvelope address too long for qq (#5.1.3)"


def test_a_broken_queue_is_temporary(home: Instance) -> None:
    os.rmdir(home.queue + b"/pid")
    assert hand_in(call(home), home) == b"Zqq trouble creating files in queue (#4.3.0)"
    nowhere = Instance(b"/nonexistent")
    assert hand_in(call(nowhere), nowhere) == b"Zqq trouble in home directory (#4.3.0)"


@pytest.mark.parametrize("how", ["absolute", "relative", "default"])
def test_a_foreign_queue_program_gets_message_and_envelope_in_the_home(home: Instance, how: str) -> None:
    value = script(home, KEEP, "bin/qmail-queue")
    env = {} if how == "default" else {"QMAILQUEUE": value if how == "absolute" else b"bin/qmail-queue"}
    submission = submit.open_queue(call(home, **env), home)
    submission.write(b"hello\n")
    assert submission.close(b"a@b", [b"c@d"]) == b""
    assert submission.qp not in (0, os.getpid())
    directory = Path(os.fsdecode(home.home))
    assert (directory / "message").read_bytes() == b"hello\n"
    assert (directory / "envelope").read_bytes() == b"Fa@b\0Tc@d\0\0"


def test_a_foreign_queue_program_does_not_die_of_a_pipe_that_nobody_reads(home: Instance) -> None:
    # SigIgn of the original's queue programs has 13 in it.  Without, the shell would be killed in the middle.
    text = "#!/bin/sh\nkill -PIPE $$\ngrep SigIgn /proc/self/status > ignored\n" + KEEP.partition("\n")[2]
    assert hand_in(call(home, QMAILQUEUE=script(home, text)), home) == b""
    ignored = int((Path(os.fsdecode(home.home)) / "ignored").read_text().split()[1], 16)
    assert ignored & (1 << signal.SIGPIPE - 1) and not ignored & (1 << signal.SIGXFSZ - 1)


def test_a_foreign_queue_program_is_waited_for_though_sigchld_came_ignored(home: Instance) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert hand_in(call(home, QMAILQUEUE=script(home, KEEP)), home) == b""
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_our_own_queue_program_costs_no_process(home: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    value = script(home, "#!/bin/sh\nexit 111\n")
    monkeypatch.setattr(chain, "module_of", lambda file: "qmail.queue" if file == value else None)
    assert hand_in(call(home, QMAILQUEUE=value), home) == b""
    assert "todo" in queues.files(home)


@pytest.mark.parametrize("value", [b"", b"bin/missing", b"control"])
def test_a_program_that_cannot_be_run_is_told_as_such(home: Instance, value: bytes) -> None:
    os.mkdir(home.home + b"/control")
    assert hand_in(call(home, QMAILQUEUE=value), home) == b"Zunable to exec qq (#4.3.0)"
    assert queues.files(home) == {}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("cat > /dev/null; exit 31", b"Dmail server permanently rejected message (#5.3.0)"),
        ("cat > /dev/null; echo -n 'Dcustom perm (#5.7.1)' >&6; exit 82", b"Dcustom perm (#5.7.1)"),
        ("cat > /dev/null; echo -n Dignored >&6; exit 88", b"Zqq temporary problem (#4.3.0)"),
        ("cat > /dev/null; kill -9 $$", b"Zqq crashed (#4.3.0)"),
        ("exit 0", b"Zqq read error (#4.3.0)"),
        ("exec 0<&-; exit 53", b"Zqq write error or disk full (#4.3.0)"),
    ],
)
def test_what_a_foreign_program_says_is_the_result(home: Instance, text: str, result: bytes) -> None:
    value = script(home, "#!/bin/sh\n" + text + "\n")
    # More than any pipe holds: the ones that do not read must not stop us.
    assert hand_in(call(home, QMAILQUEUE=value), home, message=b"x" * 300000) == result


def test_a_message_given_up_has_no_envelope_end(home: Instance) -> None:
    value = script(home, KEEP + "exit 54\n")
    submission = submit.open_queue(call(home, QMAILQUEUE=value), home)
    submission.write(b"hello\n")
    submission.fail()
    assert submission.close(b"a@b", [b"c@d"]) == b"Zqq read error (#4.3.0)"
    assert (Path(os.fsdecode(home.home)) / "envelope").read_bytes() == b""


def test_no_descriptor_is_left_open(home: Instance) -> None:
    value = script(home, KEEP)
    before = len(os.listdir("/proc/self/fd"))
    hand_in(call(home), home)
    hand_in(call(home, QMAILQUEUE=value), home)
    hand_in(call(home, QMAILQUEUE=b"missing"), home)
    submit.open_queue(call(home, QMAILQUEUE=value), home).abandon()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_who_may_not_write_the_queue_and_finds_no_qmail_queued_hears_of_it(home: Instance) -> None:
    os.chmod(home.home, stat.S_IRWXU | stat.S_IXGRP | stat.S_IXOTH)  # to find out that the queue is not its own
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setuid(65534)
            code = hand_in(call(home), home) != b"Zqq trouble making network connection (#4.3.0)"
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
