"""The scanner and trouble on its own side: a full spool, settings without sense, a bug, a queue that refuses."""

from __future__ import annotations

import errno
import os

import pytest

from qmail.scanner import scanning
from qmail.scanner.store import Store
from tests.support.engines import ScriptedEngine
from tests.support.scanned import CLEAN, VIRUS, ScannedHome, chunks
from tests.support.scanned import home as home
from ucspi.core import chain


def _full(store: Store, data: bytes) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_spool_defers_leaves_nothing_and_says_so(
    home: ScannedHome, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedEngine([chunks(CLEAN), VIRUS]) as engine:
        home.set(scanners="clamdscan", clamd=engine.address, virus="quarantine,reject")
        place = home.spool / "quarantine/viruses/tmp"
        place.rmdir()
        assert home.hand_in() == b"Zqq write error or disk full (#4.3.0)"
    (home.spool / "working/tmp").rmdir()
    assert home.hand_in(CLEAN + b"x" * 300000) == b"Zqq write error or disk full (#4.3.0)"
    (home.spool / "working/tmp").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", _full)
        assert home.hand_in(CLEAN + b"x" * 300000) == b"Zqq write error or disk full (#4.3.0)"
    (home.spool / "quarantine/viruses/tmp").mkdir()
    assert home.queued() == [] and home.quarantined() == [] and home.leftovers() == []
    lines = capfd.readouterr().err.splitlines()
    missing, full = "warning: cannot scan: file does not exist", "warning: cannot scan: out of disk space"
    assert [line.partition(": ")[2] for line in lines] == [missing, missing, full]


@pytest.mark.parametrize(
    ("settings", "rules"),
    [
        ({"virus": "eat"}, ""),
        ({"nonsense": "1"}, ""),
        ({"scanners": "sweep"}, ""),
        ({"sa_timeout": "x"}, ""),
        ({}, "x"),
    ],
)
def test_settings_that_make_no_sense_defer_all_mail(home: ScannedHome, settings: dict[str, str], rules: str) -> None:
    home.set(**settings)
    home.rules(rules)
    assert home.hand_in() == b"Zqq unable to read configuration (#4.3.0)"


def test_without_a_spool_mail_waits_for_its_rules_are_not_known(
    home: ScannedHome, capfd: pytest.CaptureFixture[str]
) -> None:
    (home.home / "nothing").mkdir()  # where it would be mounted
    home.set(spooldir=str(home.home / "nothing"))
    assert home.hand_in() == b"Zqq unable to read configuration (#4.3.0)"
    assert capfd.readouterr().err.endswith("/nothing is no spool: see qmail-scanner-configure(8)\n")
    (home.home / "nothing/working/tmp").mkdir(parents=True)
    assert home.hand_in() == b"" and len(home.queued()) == 1


def test_what_the_next_queue_program_says_is_the_result(home: ScannedHome, capfd: pytest.CaptureFixture[str]) -> None:
    script = home.home / "next"
    script.write_text("#!/bin/sh\ncat >message\ncat <&1 >envelope\nexit 31\n")
    script.chmod(0o755)
    assert home.hand_in(QSQUEUE=os.fsencode(script)) == b"Dmail server permanently rejected message (#5.3.0)"
    assert (home.home / "envelope").read_bytes() == b"Fsj@aaaa.hu\0Tsj@mail.aaaa.hu\0\0"
    assert (home.home / "message").read_bytes().endswith(CLEAN)
    assert "Clear" not in capfd.readouterr().err  # a line says that it was queued
    home.set(qmail_queue_binary=str(script))
    assert home.hand_in() == b"Dmail server permanently rejected message (#5.3.0)"


def test_the_scanner_does_not_call_itself(home: ScannedHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "module_of", lambda file: scanning.OWN)
    assert home.hand_in() == b"Zqq unable to read configuration (#4.3.0)"


def test_a_message_given_up_is_forgotten(home: ScannedHome) -> None:
    before = os.listdir("/proc/self/fd")
    mail = home.submission()
    mail.write(b"x" * 300000)
    mail.abandon()
    mail = home.submission()
    mail.write(b"x" * 300000)
    mail.fail()
    assert mail.close(b"a@b", [b"c@d"]) == b"Zqq read error (#4.3.0)"
    assert home.queued() == [] and home.leftovers() == []
    assert os.listdir("/proc/self/fd") == before


def test_a_bug_is_temporary_and_nothing_is_lost_or_left(home: ScannedHome, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("qmail.scanner.fields.block", bug)
    assert home.hand_in() == b"Zqq internal bug (#4.3.0)"
    assert home.queued() == []
