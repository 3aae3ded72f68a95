"""qmail-rspawn: commands in, reports out, with scripts in place of qmail-remote and with the real one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qmail.core.spawnproto import ReportReader, pack_command
from tests.support import launchers
from tests.support.instance import make_instance, queue_message
from tests.support.mailhost import MailHost

LIMIT = b"x"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_instance(tmp_path, me="mail.example.org")


def rspawn(home: Path, commands: bytes, **env: str) -> dict[int, bytes]:
    """The reports, by delnum.  Exit code 0 and the limit byte belong to every run."""
    settings = {"QMAILHOME": str(home), **env}
    done = launchers.run(launchers.ours("qmail-rspawn"), stdin=commands, env=settings)
    assert (done.code, done.err, done.out[:1]) == (0, b"", LIMIT)
    return {delnum: letter + text for delnum, letter, text in ReportReader().feed(done.out[1:])}


def message(home: Path) -> bytes:
    number = queue_message(home, b"s@e.example", [])
    return b"%d/%d" % (number % 23, number)


def script(home: Path, text: str) -> str:
    file = home / "remote"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


def one(home: Path, text: str) -> bytes:
    commands = pack_command(0, message(home), b"s@e.example", b"a@b@One.example")
    return rspawn(home, commands, QMAILREMOTE=script(home, text))[0]


@pytest.mark.parametrize(  # probe 46; exit 1 is temporary here
    ("text", "expected"),
    [
        (r"printf 'Q\0Xyz\0'", b"D"),
        ("", b"Zqmail-remote produced no output.\n"),
        ("exit 1", b"ZUnable to run qmail-remote.\n"),
        ("exit 100", b"DUnable to run qmail-remote.\n"),
        ("exit 111", b"ZUnable to run qmail-remote.\n"),
        ("kill -9 $$", b"Zqmail-remote crashed.\n"),
        (r"printf 'r\0K%s|%s|' $0 $#; printf '%s\0' $1,$2,$3", b"K%s|3|One.example,s@e.example,a@b@One.example"),
        (r"printf 'r\0K'; sed -n 1p; printf 'e\0' >&2", b"KSubject: x\ne"),
        (r"printf 'r\0K'; pwd; printf '\0'", b"K%s/queue/mess\n"),
    ],
)
def test_what_the_child_says_and_how_it_ends_makes_the_report(home: Path, text: str, expected: bytes) -> None:
    if b"%s" in expected:
        expected %= os.fsencode(home / "remote" if b"|" in expected else home)
    assert one(home, text) == expected


def test_a_program_that_is_not_there_bounces_nothing(home: Path) -> None:
    commands = pack_command(7, message(home), b"s", b"r@h")
    assert rspawn(home, commands, QMAILREMOTE="/absent/qmail-remote") == {7: b"ZUnable to run qmail-remote.\n"}


def test_starting_forgets_every_time_out_but_makes_no_table(home: Path) -> None:
    table = home / "queue" / "lock" / "tcpto"
    table.write_bytes(b"x" * 1024)
    assert rspawn(home, b"") == {}
    assert table.read_bytes() == bytes(1024)
    table.unlink()
    assert rspawn(home, b"") == {}
    assert not table.exists()


def test_without_a_queue_it_does_not_start(home: Path) -> None:
    done = launchers.run(launchers.ours("qmail-rspawn"), env={"QMAILHOME": str(home / "absent")})
    assert (done.code, done.out) == (111, b"")


@pytest.mark.parametrize("exec_", [{}, {"UCSPI_EXEC": "1"}])
def test_deliveries_go_out_by_smtp(home: Path, exec_: dict[str, str]) -> None:
    with MailHost() as first, MailHost(address="127.0.0.3") as second:
        routes = f"one.example:127.0.0.2:{first.port}\ntwo.example:127.0.0.3:{second.port}\n:127.0.0.2:0\n"
        (home / "control" / "smtproutes").write_text(routes)
        messid = message(home)
        recipients = {0: b"r@one.example", 119: b"r@two.example", 3: b"r@--help"}
        commands = b"".join(pack_command(n, messid, b"s@e.example", r) for n, r in recipients.items())
        reports = rspawn(home, commands, **exec_)
    assert reports[0] == b"K127.0.0.2 accepted message.\nRemote host said: 250 done\n"
    assert reports[119] == b"K127.0.0.3 accepted message.\nRemote host said: 250 done\n"
    assert reports[3] == b"ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n"  # no help text
    assert b"RCPT TO:<r@two.example>\r\n" in second.told
