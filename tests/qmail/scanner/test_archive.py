"""Copies of what is passed on: of whose mail, when, and that there is none of mail that was not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from qmail.scanner import upkeep
from tests.support.engines import ScriptedEngine
from tests.support.scanned import CLEAN, ScannedHome
from tests.support.scanned import home as home

ENVELOPE = b"X-Qmail-Scanner-Mail-From: sj@aaaa.hu\nX-Qmail-Scanner-Rcpt-To: sj@mail.aaaa.hu\n"


def archived(home: ScannedHome) -> list[bytes]:
    return [file.read_bytes() for file in sorted((home.spool / "archives/new").iterdir())]


@pytest.mark.parametrize(
    ("setting", "kept"),
    [
        ("no", False),
        ("", False),
        ("0", False),
        ("yes", True),
        (r"^sj@aaaa\.hu$", True),  # the sender
        (r"@MAIL\.AAAA\.HU$", True),  # a recipient
        ("bela", False),
    ],
)
def test_mail_from_or_to_the_addresses_of_the_setting_is_kept_as_it_was_received(
    home: ScannedHome, setting: str, kept: bool
) -> None:
    home.set(archive=setting)
    assert home.hand_in() == b""
    assert archived(home) == ([ENVELOPE + CLEAN] if kept else [])
    assert len(home.queued()) == 1
    assert home.leftovers() == []


def test_what_is_not_passed_on_is_not_kept(home: ScannedHome) -> None:
    with ScriptedEngine([len(b"zINSTREAM\0") + 4 + len(CLEAN) + 4, b"stream: Worm FOUND\0"]) as engine:
        home.set(archive="yes", scanners="clamdscan", clamd=engine.address, virus="reject")
        assert home.hand_in().startswith(b"D")
    home.set(scanners="", qmail_queue_binary="/bin/false")
    assert home.hand_in() != b""
    home.set(qmail_queue_binary="/nonexistent")
    assert home.hand_in() != b""
    assert archived(home) == [] and home.leftovers() == []


def test_mail_that_cannot_be_kept_waits(home: ScannedHome, capfd: pytest.CaptureFixture[str]) -> None:
    home.set(archive="yes")
    (home.spool / "archives/tmp").rmdir()
    assert home.hand_in() == b"Zqq write error or disk full (#4.3.0)"
    assert home.queued() == []
    assert "warning: cannot scan: " in capfd.readouterr().err


def test_the_daily_clean_up_removes_what_was_half_kept(home: ScannedHome) -> None:
    old, new = (Path(home.spool, "archives/tmp", name) for name in ("old", "new"))
    for file in (old, new):
        file.write_bytes(b"x")
    os.utime(old, (time.time() - 2 * upkeep.STALE,) * 2)
    home.set(scanners="")
    assert upkeep.run(home.call(), ["z"]) == 0
    assert not old.exists() and new.exists()
