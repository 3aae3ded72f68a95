"""sendmail: spec qmail-smtp 7 and probes 76 to 79.  What it becomes is a script that shows words and environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from qmail.sendmail import main
from tests.support import launchers
from tests.support.instance import make_instance
from ucspi.core import chain

USAGE = "sendmail: usage: sendmail [ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]\n"
SHOW = """#!/bin/sh
printf '%s' "${0##*/}"; for word; do printf '|%s' "$word"; done; echo
env | grep -E '^(RELAY|DATA|PROTO|TCP|QMAIL[NUM]|QMAILHOST|MAILN|MAILH|NAME)' | sort
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = make_instance(tmp_path, me="h.example")
    (home / "bin").mkdir()
    for name in ("qmail-inject", "qmail-smtpd", "qmail-qread"):
        (home / "bin" / name).write_text(SHOW)
        (home / "bin" / name).chmod(0o755)
    return home


def becomes(home: Path, *argv: str, **env: str) -> list[str]:
    """The lines that the next program writes: its words, then the variables that matter."""
    environment = {"PATH": "/bin:/usr/bin", "QMAILHOME": str(home), **env}
    called = home / argv[0]  # as administrators do it: a link to sendmail
    called.symlink_to(launchers.ours("sendmail"))
    done = subprocess.run([called, *argv[1:]], env=environment, capture_output=True, timeout=30)
    called.unlink()
    assert (done.returncode, done.stderr) == (0, b"")
    return [line for line in done.stdout.decode().splitlines() if not line.startswith("QMAILHOME")]


def refuses(home: Path, capfd: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    env = {b"PATH": b"/bin:/usr/bin", b"QMAILHOME": os.fsencode(home)}
    code = main([os.fsencode(word) for word in argv], env, chain.Process())
    out, err = capfd.readouterr()
    assert out == ""
    return code, err


WORDS = [
    (["a@b.c"], "qmail-inject|-a|--|a@b.c"),
    (["-t", "-i", "-oi", "-oem", "-v", "-m", "arg@q.r"], "qmail-inject|-H|--|arg@q.r"),  # probe 76
    (["-bm", "-x", "-e", "m", "-pESMTP:h", "-B8BITMIME", "-Eany", "-J", "a", "-t"], "qmail-inject|-a|--|a|-t"),
    (["-vEq", "--", "-q"], "qmail-inject|-a|--|-q"),
    (["-fa", "-f", "b", "-"], "qmail-inject|-a|-f|b|--|-"),
    (["-bp"], "qmail-qread"),
    (["-bp", "-q"], "qmail-qread"),
]


@pytest.mark.parametrize(("argv", "words"), WORDS)
def test_options_become_those_of_qmail(home: Path, argv: list[str], words: str) -> None:
    lines = becomes(home, "sendmail", *argv)
    assert lines[0] == words


def test_called_mailq_it_lists_the_queue(home: Path) -> None:
    assert becomes(home, "mailq", "-v") == ["qmail-qread"]


def test_the_sender_is_the_author_too(home: Path) -> None:  # probe 77
    anybody = {"QMAILNAME": "a", "MAILNAME": "b", "NAME": "c", "QMAILHOST": "d", "MAILHOST": "e"}
    lines = becomes(home, "sendmail", "-F", "Full Name", "-f", "send@er.example", "a@b.c", **anybody)
    assert lines == ["qmail-inject|-a|-f|send@er.example|--|a@b.c", "QMAILHOST=er.example", "QMAILUSER=send"]
    assert becomes(home, "sendmail", "-f", "s@e@r.example")[1:] == ["QMAILHOST=r.example", "QMAILUSER=s@e"]


def test_a_sender_without_host_takes_the_host_away(home: Path) -> None:
    assert becomes(home, "sendmail", "-fjoe", MAILHOST="e")[1:] == ["QMAILUSER=joe"]


def test_a_full_name_goes_into_the_environment(home: Path) -> None:
    assert becomes(home, "sendmail", "-FJoe P", NAME="x")[1:] == ["MAILNAME=Joe P", "NAME=x"]


def test_a_file_of_lists_is_looked_for_in_the_mail_system_s_home(home: Path) -> None:
    assert becomes(home, "sendmail", QMAILMFTFILE="lists")[1:] == [f"QMAILMFTFILE={home}/lists"]
    assert becomes(home, "sendmail", QMAILMFTFILE="/my/lists")[1:] == ["QMAILMFTFILE=/my/lists"]


def test_smtp_on_standard_input_is_a_local_client_s(home: Path) -> None:  # probe 79
    assert becomes(home, "sendmail", "-bs") == [
        "qmail-smtpd",
        "DATABYTES=0",
        "PROTO=TCP",
        "RELAYCLIENT=",
        "TCPLOCALHOST=localhost",
        "TCPLOCALIP=127.0.0.1",
        "TCPREMOTEHOST=localhost",
        "TCPREMOTEINFO=sendmail-bs",
        "TCPREMOTEIP=127.0.0.1",
    ]
    assert becomes(home, "sendmail", "-bs", PROTO="TCP") == ["qmail-smtpd", "PROTO=TCP"]


BAD = [
    (["sendmail", "-q"], "sendmail: illegal option -- q\n" + USAGE),  # probe 78
    (["sendmail", "-bd"], USAGE),
    (["sendmail", "-bd", "-q"], USAGE),
    (["sendmail", "-N", "never"], "sendmail: illegal option -- N\n" + USAGE),
    (["/usr/lib/mailq", "-f"], "mailq: option requires an argument -- f\n" + USAGE),
    (["newaliases"], "sendmail: fatal: please use fastforward/newaliases instead\n"),
]


@pytest.mark.parametrize(("argv", "complaint"), BAD)
def test_what_qmail_cannot_do_is_refused(
    home: Path, capfd: pytest.CaptureFixture[str], argv: list[str], complaint: str
) -> None:
    assert refuses(home, capfd, *argv) == (100, complaint)


def test_without_the_mail_system_s_home_it_is_temporary(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    complaint = "sendmail: fatal: unable to switch to qmail home directory\n"
    assert refuses(home / "nowhere", capfd, "sendmail") == (111, complaint)


def test_a_program_that_cannot_be_run_is_temporary(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("qmail-inject", "qmail-smtpd", "qmail-qread"):
        (home / "bin" / name).chmod(0o600)
    for argv, name in (([], "inject"), (["-bs"], "smtpd"), (["-bp"], "qread")):
        assert refuses(home, capfd, "sendmail", *argv) == (111, f"sendmail: fatal: unable to run qmail-{name}\n")


@pytest.mark.parametrize("env", [{}, {"UCSPI_EXEC": "1"}])
def test_a_message_goes_all_the_way_into_the_queue(tmp_path: Path, env: dict[str, str]) -> None:
    home = make_instance(tmp_path, me="h.example")  # no bin: our own qmail-inject, in the same process
    done = launchers.run(
        launchers.ours("sendmail"),
        *("-t", "-i", "-oi", "-oem", "-fs@er.example", "arg@q.r"),
        stdin=b"To: x@y.z\n\n.\nafter the dot",
        env={"QMAILHOME": str(home), **env},
    )
    assert done == launchers.Result(0, b"", b"")
    (todo,) = (home / "queue" / "todo").iterdir()
    assert todo.read_bytes().endswith(b"Fs@er.example\0Targ@q.r\0Tx@y.z\0")
    (message,) = (home / "queue" / "mess").glob("*/*")
    assert message.read_bytes().endswith(b"\nFrom: s@er.example\nTo: x@y.z\n\n.\nafter the dot\n")


@pytest.mark.parametrize("env", [{}, {"UCSPI_EXEC": "1"}])
def test_a_local_client_talks_smtp_and_may_send_anywhere(tmp_path: Path, env: dict[str, str]) -> None:  # probe 79
    home = make_instance(tmp_path, me="h.example", rcpthosts="h.example", databytes="3")
    said = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<far@away.example>\r\nDATA\r\nlong enough\r\n.\r\nQUIT\r\n"
    done = launchers.run(launchers.ours("sendmail"), "-bs", stdin=said, env={"QMAILHOME": str(home), **env})
    assert (done.code, done.err) == (0, b"")
    assert done.out.startswith(b"220 h.example ESMTP\r\n") and done.out.endswith(b"\r\n221 2.0.0 h.example\r\n")
    (message,) = (home / "queue" / "mess").glob("*/*")
    trace = message.read_bytes().split(b"\n")[1:3]
    assert trace[0] == b"Received: from localhost (HELO x) (sendmail-bs@127.0.0.1)"
    assert trace[1].startswith(b"  by localhost with SMTP; ")


def test_the_queue_is_listed_under_both_names(tmp_path: Path) -> None:
    home = make_instance(tmp_path, me="h.example")
    env = {"QMAILHOME": str(home)}
    assert launchers.run(launchers.ours("sendmail"), "x@y.z", stdin=b"\nbody\n", env=env).code == 0
    (tmp_path / "mailq").symlink_to(launchers.ours("sendmail"))
    shown = [launchers.run(launchers.ours("sendmail"), "-bp", env=env), launchers.run(str(tmp_path / "mailq"), env=env)]
    listed = launchers.run(launchers.ours("qmail-qread"), env=env)
    assert listed.code == 0 and shown == [listed, listed]


@pytest.mark.parametrize("letter", "CdGhLMNORrsUVAnqX")
def test_every_other_letter_is_refused(home: Path, capfd: pytest.CaptureFixture[str], letter: str) -> None:
    complaint = f"sendmail: illegal option -- {letter}\n" + USAGE
    assert refuses(home, capfd, "sendmail", f"-{letter}") == (100, complaint)


@pytest.mark.parametrize("mode", ["d", "i", "v", "t", "a", "D", "z"])
def test_every_mode_but_three_is_refused(home: Path, capfd: pytest.CaptureFixture[str], mode: str) -> None:
    assert refuses(home, capfd, "sendmail", f"-b{mode}") == (100, USAGE)
