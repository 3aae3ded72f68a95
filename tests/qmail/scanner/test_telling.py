"""What the scanner tells: notices, logs, and the fields of the message."""

from __future__ import annotations

import os
import re

import pytest

from qmail.core import submit
from qmail.scanner import scanning
from tests.support.engines import ScriptedEngine
from tests.support.scanned import CLEAN, VIRUS, ScannedHome, chunks
from tests.support.scanned import home as home
from ucspi.core import chain

# --- notices


def test_the_administrator_hears_of_a_virus_and_the_forged_sender_never(
    home: ScannedHome, capfd: pytest.CaptureFixture[str]
) -> None:
    message = CLEAN.replace(b"RE: torles", b"Fwd: hey dude! (fwd)")
    with ScriptedEngine([chunks(message), VIRUS]) as engine:
        home.set(scanners="clamdscan", clamd=engine.address, notify="all", admin="sj")
        assert home.hand_in(message, recipients=(b"bela@mail.aaaa.hu", b"x@elsewhere.example")) == b""
    ((envelope, alert),) = home.queued()
    assert envelope == b"F\0Tsj@mail.aaaa.hu\0Tbela@mail.aaaa.hu\0"
    assert b'\nSubject: virus found in sent message "Fwd: hey dude! (fwd)"\n' in alert
    assert b"Worm.Sober.G" in alert and b"hello" not in alert
    (kept,) = home.quarantined()
    assert kept.path in alert
    first, second = capfd.readouterr().err.splitlines()
    msgid = kept.name.decode() + "-sj@mail.aaaa.hu"
    assert first == (  # listing 17, the line about the alert
        f"qmail-scanner[{os.getpid()}]: Clear:RC:1(127.0.0.1): 0 1100 sj@mail.aaaa.hu <> "
        f'virus_found_in_sent_message_"Fwd:_hey_dude!_(fwd)" {msgid} quarantine-event.txt:1000'
    )
    assert f"\nMessage-ID: <{msgid}>\n".encode() in alert
    assert "CLAMDSCAN:Worm.Sober.G:" in second


@pytest.mark.parametrize(
    ("notify", "kind", "told"),
    [
        ("none", "policy", []),
        ("psender", "policy", [b"sj@aaaa.hu"]),
        ("psender,precips,nmlvadm", "policy", [b"bela@mail.aaaa.hu", b"sj@aaaa.hu"]),
        ("psender,precips,nmlvadm", "virus", [b"root@mail.aaaa.hu"]),
        ("sender,recips", "virus", [b"bela@mail.aaaa.hu"]),
    ],
)
def test_who_is_told_is_a_setting(home: ScannedHome, notify: str, kind: str, told: list[bytes]) -> None:
    home.rules(f".*\t{kind}-Subject:\tx")
    home.set(notify=notify)
    assert home.hand_in(recipients=(b"bela@mail.aaaa.hu",)) == b""
    found = home.queued()
    assert [envelope.split(b"\0")[1:-1] for envelope, _ in found] == ([[b"T" + a for a in told]] if told else [])


@pytest.mark.parametrize(
    ("sender", "field"),
    [
        (b"", b""),
        (b"list-owner@aaaa.hu", b""),
        (b"MAILER-DAEMON@aaaa.hu", b""),
        (b"sj@aaaa.hu", b"Precedence: bulk\n"),
        (b"sj@aaaa.hu", b"List-Id: <x>\n"),
    ],
)
def test_lists_and_programs_hear_nothing(home: ScannedHome, sender: bytes, field: bytes) -> None:
    home.rules(".*\tPolicy-Subject:\tx")
    home.set(notify="sender")
    assert home.hand_in(field + CLEAN, sender) == b""
    assert home.queued() == []


def test_a_notice_that_cannot_be_sent_changes_nothing(home: ScannedHome, capfd: pytest.CaptureFixture[str]) -> None:
    home.rules(".*\tPolicy-Subject:\tx")
    home.set(notify="admin", qmail_queue_binary="/nonexistent")
    assert home.hand_in() == b""
    assert len(home.quarantined()) == 1
    assert "warning: cannot tell root@mail.aaaa.hu" in capfd.readouterr().err


# --- logs


def test_the_debug_log_never_grows_beyond_its_size(home: ScannedHome) -> None:
    home.set(debug="yes", debug_size="2000")
    for _ in range(30):
        home.hand_in()
    assert (home.spool / "qmail-queue.log").stat().st_size <= 2000
    assert (home.spool / "qmail-queue.log.old").stat().st_size <= 2000
    assert b"+++ starting debugging" in (home.spool / "qmail-queue.log").read_bytes()


def test_mailstats_has_the_same_line_with_tabs(home: ScannedHome) -> None:
    home.set(log_details="yes")
    home.hand_in()
    (line,) = (home.spool / "mailstats.csv").read_bytes().splitlines()
    assert line.startswith(b"Clear:RC:0(192.168.1.22):\t")
    assert line.count(b"\t") == 7


def test_a_submission_through_the_common_door_is_scanned_without_a_process(
    home: ScannedHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = home.home / "qmail-scanner-queue"
    program.write_text("#!/bin/sh\nexit 111\n")
    program.chmod(0o755)
    path = os.fsencode(program)
    monkeypatch.setattr(chain, "module_of", lambda file: scanning.OWN if file == path else None)
    mail = submit.open_queue(home.call(QMAILQUEUE=path), home.instance)
    assert isinstance(mail, scanning.Scanning)
    mail.write(CLEAN)
    assert mail.close(b"a@b", [b"c@d"]) == b""
    assert len(home.queued()) == 1
    spawned = submit.open_queue(home.call(QMAILQUEUE=path, UCSPI_EXEC=b"1"), home.instance)
    assert isinstance(spawned, submit.Spawned)
    spawned.abandon()


def test_without_an_engine_the_field_names_the_own_rules(home: ScannedHome) -> None:
    assert home.hand_in() == b""
    ((_, message),) = home.queued()
    assert b"\n (perlscan: 2.01.   \n Clear:RC:0(192.168.1.22):. \n" in message


def test_a_message_that_says_mime_but_not_its_type_gets_one_at_the_end_of_its_header(home: ScannedHome) -> None:
    message = b"MIME-Version: 1.0\nMessage-ID: <1@x>\nX-Spam-Flag: NO\n\nhello\n"
    assert home.hand_in(message) == b""
    ((_, found),) = home.queued()
    assert found.endswith(
        b" -0000\nMIME-Version: 1.0\nMessage-ID: <1@x>\nX-Spam-Flag: NO\n"  # no engine has said anything else of it
        b"X-Qmail-Scanner-2.01: added fake Content-Type header\nContent-Type: text/plain\n\nhello\n"
    )


def test_a_message_without_message_id_and_the_fields_of_old(home: ScannedHome) -> None:
    home.set(add_dscr_hdrs="all", header="X-Qmail-Scanner-Diagnostics")
    assert home.hand_in(b"Subject: x\n\nhello\n", TCPREMOTEHOST=b"client.example", TCPREMOTEINFO=b"js") == b""
    ((_, found),) = home.queued()
    host = os.uname().nodename.partition(".")[0].encode()
    lines = found.split(b"\n")
    assert lines[0] == (
        b"X-Qmail-Scanner-Diagnostics: from client.example (js@192.168.1.22) by %b (envelope-from <sj@aaaa.hu>, uid %d) "
        b"with qmail-scanner-2.01 " % (host, os.getuid())
    )
    assert re.fullmatch(rb"X-Qmail-Scanner-Message-ID: <\d{13,}@%b>" % re.escape(host), lines[4])
    assert re.fullmatch(
        rb"X-Qmail-Scanner: 2\.01 \(Clear:RC:0\(192\.168\.1\.22\):\. Processed in [\d.]+ secs\)", lines[5]
    )
    assert lines[6:8] == [
        b"X-Qmail-Scanner-Mail-From: sj@aaaa.hu via %b" % host,
        b"X-Qmail-Scanner-Rcpt-To: sj@mail.aaaa.hu",
    ]
