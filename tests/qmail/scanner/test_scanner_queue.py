"""qmail-scanner-queue as a program: descriptors, exit codes, the text on descriptor 6, the administrator's options."""

from __future__ import annotations

import os
import resource
import subprocess

import pytest

from tests.support import launchers
from tests.support.engines import STALL, ScriptedEngine
from tests.support.house import until
from tests.support.scanned import CLEAN, ScannedHome
from tests.support.scanned import home as home

ENVELOPE = b"Fsj@aaaa.hu\0Tsj@mail.aaaa.hu\0\0"
CHUNKS = len(CLEAN) + 18
PROGRAM = launchers.ours("qmail-scanner-queue")


def run(
    home: ScannedHome,
    message: bytes | None = CLEAN,
    envelope: bytes | None = ENVELOPE,
    *,
    text_fd: int | None = 6,
    limit: int | None = None,
) -> tuple[int, bytes]:
    """Run it as a queue program is run; exit code, and what came on `text_fd`."""
    files = [-1 if data is None else _pipe(data) for data in (message, envelope)]
    reader, writer = os.pipe()

    def setup() -> None:
        for number, fd in enumerate(files):
            os.close(number) if fd < 0 else os.dup2(fd, number)
        if text_fd is not None:
            os.dup2(writer, text_fd)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    kept = [fd for fd in (*files, writer) if fd >= 0]
    env = {"PATH": "/usr/bin:/bin", "QMAILHOME": str(home.home), "TCPREMOTEIP": "192.168.1.22"}
    done = subprocess.run([PROGRAM], env=env, preexec_fn=setup, pass_fds=[] if text_fd is None else [text_fd])
    for fd in kept:
        os.close(fd)
    with open(reader, "rb") as told:
        return done.returncode, told.read()


def _pipe(data: bytes) -> int:
    fd = os.memfd_create("input")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def test_clean_mail_is_handed_on_and_the_exit_code_is_zero(home: ScannedHome) -> None:
    assert run(home) == (0, b"")
    ((envelope, message),) = home.queued()
    assert envelope == b"Fsj@aaaa.hu\0Tsj@mail.aaaa.hu\0"
    assert message.endswith(CLEAN) and b"Clear:RC:0(192.168.1.22):." in message


@pytest.mark.parametrize(
    ("message", "envelope", "code"),
    [
        (CLEAN, b"", 54),
        (CLEAN, b"Fa@b\0Tc@d\0", 54),
        (CLEAN, b"Xa@b\0\0", 91),
        (CLEAN, b"Fa@b\0T" + b"x" * 1003 + b"\0\0", 11),
        (None, ENVELOPE, 54),
        (CLEAN, None, 54),
    ],
)
def test_what_is_no_envelope_is_refused_with_qmail_queues_codes(
    home: ScannedHome, message: bytes | None, envelope: bytes | None, code: int
) -> None:
    assert run(home, message, envelope) == (code, b"")
    assert home.queued() == []


@pytest.mark.parametrize(
    ("error_fd", "text_fd", "told"),
    [
        ("6", 6, (82, b"Dthis message contains the virus Worm.Sober.G (#5.7.1)")),
        ("4", 4, (82, b"Dthis message contains the virus Worm.Sober.G (#5.7.1)")),
        ("6", None, (31, b"")),
        ("no", 6, (31, b"")),
        ("2", 6, (31, b"")),  # no pipe
    ],
)
def test_a_refusal_is_explained_where_somebody_listens_and_permanent_in_any_case(
    home: ScannedHome, error_fd: str, text_fd: int | None, told: tuple[int, bytes]
) -> None:
    with ScriptedEngine([CHUNKS, b"stream: Worm.Sober.G FOUND\0"]) as engine:
        home.set(scanners="clamdscan", clamd=engine.address, virus="reject", error_fd=error_fd)
        assert run(home, text_fd=text_fd) == told


def test_an_engine_that_fails_is_exit_71(home: ScannedHome) -> None:
    home.set(scanners="clamdscan", clamd="/nonexistent")
    assert run(home) == (71, b"")
    assert home.queued() == []


def test_settings_that_cannot_be_read_are_exit_55(home: ScannedHome) -> None:
    home.set(virus="eat")
    assert run(home) == (55, b"")


def test_a_full_disk_is_exit_53_and_leaves_nothing(home: ScannedHome) -> None:
    assert run(home, CLEAN + b"x" * 500000, limit=200000) == (53, b"")
    with ScriptedEngine([CHUNKS + 100000 + 4, b"stream: Worm.Sober.G FOUND\0"]) as engine:
        home.set(scanners="clamdscan", clamd=engine.address)
        assert run(home, CLEAN + b"x" * 100000, limit=50000) == (53, b"")
    assert home.queued() == [] and home.quarantined() == [] and home.leftovers() == []


def test_a_scan_that_is_killed_leaves_nothing_and_queues_nothing(home: ScannedHome) -> None:
    with ScriptedEngine([1000, STALL]) as engine:
        home.set(scanners="clamdscan", clamd=engine.address)
        argv = [PROGRAM]
        env = {"PATH": "/usr/bin:/bin", "QMAILHOME": str(home.home)}
        message = _pipe(CLEAN + b"x" * 2_000_000)  # more than is held in memory: there is a file in the spool
        envelope = _pipe(ENVELOPE)
        running = subprocess.Popen(argv, env=env, stdin=message, stdout=envelope)
        os.close(message)
        os.close(envelope)
        until(lambda: engine.told and len(engine.told[0]) >= 1000, "it is being scanned")
        running.kill()
        assert running.wait(10) == -9
    assert [str(file) for file in home.spool.rglob("*") if file.is_file()] == []
    assert home.queued() == []


@pytest.mark.parametrize(("code", "given"), [(31, 31), (53, 53), (115, 11), (111, 111)])
def test_the_code_of_the_next_queue_program_is_handed_back(home: ScannedHome, code: int, given: int) -> None:
    script = home.home / "next"
    script.write_text(f"#!/bin/sh\ncat >/dev/null\nexit {code}\n")
    script.chmod(0o755)
    home.set(qmail_queue_binary=str(script), error_fd="no")
    assert run(home)[0] == (given if code != 111 else 71)


# --- for the administrator


def options(home: ScannedHome, *words: str) -> launchers.Result:
    return launchers.run(PROGRAM, *words, env={"QMAILHOME": str(home.home)})


def test_the_rules_are_checked_and_printed(home: ScannedHome) -> None:
    home.rules("#x", ".pif\tSIZE=-1\tPIF files", "", "a.*\tPolicy-Subject:\tb", ".*\tPolicy-CRYPTODETAILS:\tc")
    assert (
        options(home, "-r").out == b".pif\tSIZE=-1\tPIF files\na.*\tPolicy-Subject:\tb\n.*\tPolicy-CRYPTODETAILS:\tc\n"
    )
    checked = options(home, "-g")
    assert (checked.code, checked.err) == (0, b"")
    assert checked.out.endswith(b"quarantine-events.txt: 3 rules\n")


@pytest.mark.parametrize(
    "rule", ["two\tcolumns", "a\tSIZE=x\tb", "(\tPolicy-Subject:\tb", "a\tPerhaps-Subject:\tb", "a\tb\tc\td"]
)
def test_a_line_that_is_no_rule_is_named(home: ScannedHome, rule: str) -> None:
    home.rules("# ok", rule)
    assert options(home, "-g") == launchers.Result(
        111, b"", b"qmail-scanner-queue: fatal: quarantine-events.txt: line 2 is no rule\n"
    )


def test_the_daily_run_removes_what_is_old_and_learns_the_versions(home: ScannedHome) -> None:
    old = [home.spool / "working/tmp/1", home.spool / "quarantine/spam/tmp/2"]
    fresh = home.spool / "working/tmp/3"
    kept = home.spool / "quarantine/spam/new/4"
    for file in (*old, fresh, kept):
        file.write_text("x")
    for file in (*old, kept):
        os.utime(file, (1, 1))
    with ScriptedEngine([len(b"zVERSION\0"), b"ClamAV 0.90.1/2892/Thu Mar 22 05:41:04 2007\0"]) as engine:
        home.set(scanners="clamdscan", clamd=engine.address)
        assert options(home, "-z") == launchers.Result(0, b"", b"")
    assert (home.spool / "qmail-scanner-queue-version.txt").read_text() == "clamdscan: 0.90.1/2892\n"
    assert fresh.exists() and kept.exists() and not [file for file in old if file.exists()]
    home.set(clamd="/nonexistent")
    assert options(home, "-z").err == b"qmail-scanner-queue: fatal: no version of clamdscan\n"


def test_version_and_help(home: ScannedHome) -> None:
    assert options(home, "-v").out.startswith(b"qmail-scanner-2.01 (ucspi-qmail ")
    assert b"-z" in options(home, "-h").out
    assert options(home, "-x").code == 100


def test_without_settings_and_spool_small_mail_goes_on(home: ScannedHome) -> None:
    (home.home / "control/scanner").unlink()
    assert run(home) == (0, b"")
    assert len(home.queued()) == 1
