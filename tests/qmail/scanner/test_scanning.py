"""The whole scanner in one process, with engines that play scripts: what becomes of mail, and what is said of it."""

from __future__ import annotations

import base64
import os
import re
import resource
import time
from pathlib import Path

import pytest

from tests.support.engines import ALL, STALL, ScriptedEngine
from tests.support.scanned import CLEAN, DEFERRED, OK, REFUSED, VIRUS, ScannedHome, chunks, with_attachment
from tests.support.scanned import home as home


def test_clean_mail_goes_on_with_a_field_on_top_and_the_line_of_listing_16(
    home: ScannedHome, capfd: pytest.CaptureFixture[str]
) -> None:
    with ScriptedEngine([chunks(CLEAN), OK]) as engine:
        home.set(scanners="clamdscan", clamd=engine.address)
        (home.spool / "qmail-scanner-queue-version.txt").write_text("clamdscan: 0.90.1/2892\n")
        assert home.hand_in(RELAYCLIENT=b"") == b""
    ((envelope, message),) = home.queued()
    assert envelope == b"Fsj@aaaa.hu\0Tsj@mail.aaaa.hu\0"
    host = os.uname().nodename.partition(".")[0]
    trace = (
        rf"Received: from 192\.168\.1\.22 by {re.escape(host)} \(envelope-from <sj@aaaa\.hu>, uid {os.getuid()}\) with qmail-scanner-2\.01 \n"
        r" \(clamdscan: 0\.90\.1/2892\.   \n"
        r" Clear:RC:1\(192\.168\.1\.22\):\. \n"
        r" Processed in \d+(\.\d{1,6})? secs\); \d\d \w{3} \d{4} \d\d:\d\d:\d\d -0000\n"
    )
    found = re.match(trace.encode(), message)
    assert found, message
    assert message[found.end() :] == CLEAN
    line = capfd.readouterr().err
    assert re.fullmatch(
        rf"qmail-scanner\[{os.getpid()}\]: Clear:RC:1\(192\.168\.1\.22\): 0(\.\d{{1,6}})? {len(CLEAN)} sj@aaaa\.hu sj@mail\.aaaa\.hu "
        rf"RE:_torles <E8C8@aaaa\.hu> \d{{10}}\.{os.getpid()}-0\.{re.escape(host)}:6 orig-{re.escape(host)}\d{{13}}{os.getpid()}:{len(CLEAN)}\n",
        line,
    ), line
    assert home.leftovers() == []


def test_a_virus_is_quarantined_and_the_client_told_it_is_taken(
    home: ScannedHome, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "AKST9")
    time.tzset()
    message = with_attachment("photo-9502.zip", b"x" * 49821, "Fwd: hey dude! (fwd)")
    with ScriptedEngine([chunks(message), VIRUS]) as engine:
        home.set(scanners="clamscan", clamd=engine.address)
        (home.spool / "qmail-scanner-queue-version.txt").write_text("clamscan: 0.90.1/2892\n")
        assert home.hand_in(message, RELAYCLIENT=b"") == b""
    assert home.queued() == []
    (kept,) = home.quarantined()
    assert b"".join(kept.blocks()) == message
    assert (kept.sender, kept.recipients, kept.event) == (b"sj@aaaa.hu", [b"sj@mail.aaaa.hu"], b"Worm.Sober.G")
    assert Path(os.fsdecode(kept.path)).parent == home.spool / "quarantine/viruses/new"
    line = home.quarantine_log().decode()
    assert re.fullmatch(  # listing 18
        r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d AKST\tsj@aaaa\.hu\tsj@mail\.aaaa\.hu\tFwd: hey dude! \(fwd\)\tWorm\.Sober\.G\t"
        r"clamscan: 0\.90\.1/2892\. \n",
        line,
    ), line
    logged = capfd.readouterr().err
    assert re.search(  # listing 17
        rf"^qmail-scanner\[\d+\]: CLAMSCAN:Worm\.Sober\.G:RC:1\(192\.168\.1\.22\): [\d.]+ {len(message)} sj@aaaa\.hu "
        r"sj@mail\.aaaa\.hu Fwd:_hey_dude!_\(fwd\) <1@x> photo-9502\.zip:49821\n\Z",
        logged,
    ), logged
    assert home.leftovers() == []


@pytest.mark.parametrize(
    ("actions", "result", "kept", "queued"),
    [
        ("reject", REFUSED, 0, 0),
        ("quarantine,reject", REFUSED, 1, 0),
        ("drop", b"", 0, 0),
        ("tag", b"", 0, 1),
        ("", b"", 0, 1),
    ],
)
def test_what_becomes_of_a_virus_is_a_setting(
    home: ScannedHome, actions: str, result: bytes, kept: int, queued: int
) -> None:
    with ScriptedEngine([chunks(CLEAN), VIRUS]) as engine:
        home.set(scanners="clamdscan", clamd=engine.address, virus=actions)
        assert home.hand_in() == result
    assert len(home.quarantined()) == kept
    found = home.queued()
    assert len(found) == queued
    if queued:
        assert b"\nX-Qmail-Scanner-Found: virus Worm.Sober.G\n" in found[0][1]


SPAM = b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9.3 / 5.0\r\n\r\n"
HAM = b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; 0.9 / 5.0\r\n\r\n"


def test_spam_is_tagged_and_fields_that_lie_about_it_renamed(
    home: ScannedHome, capfd: pytest.CaptureFixture[str]
) -> None:
    message = b"X-Spam-Status: No\nSubject:  buy\nx-spam-flag: NO\n\nSubject: body\n"
    with ScriptedEngine([ALL, SPAM]) as engine:
        home.set(scanners="fast_spamassassin=SPAM:", spamd=engine.address)
        assert home.hand_in(message) == b""
    ((_, found),) = home.queued()
    assert found.endswith(
        b"X-Spam-Status: Yes, hits=9.3 required=5.0\nX-Spam-Level: +++++++++\n"
        b"X-Old-Spam-Status: No\nSubject: SPAM: buy\nX-Old-spam-flag: NO\n\nSubject: body\n"
    )
    assert b"\n Clear:" not in found and b"\n SPAMASSASSIN:SPAM(9.3/5.0):RC:0(192.168.1.22):SA:1(9.3/5.0):. \n" in found
    assert ":SA:1(9.3/5.0): " in capfd.readouterr().err


def rewriting(message: bytes, result: bytes) -> bytes:
    """spamd's answer to PROCESS."""
    return b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\n%b\r\n\r\n%b" % (len(message), result, message)


def test_what_spamd_makes_of_a_message_is_passed_on_in_its_place(
    home: ScannedHome, capfd: pytest.CaptureFixture[str]
) -> None:
    theirs = b"X-Spam-Status: Yes, score=9.3\nSubject: *****SPAM***** x\n\n" + b"report\n" * 30000  # not held in memory
    with ScriptedEngine([ALL, rewriting(theirs, b"Spam: True ; 9.3 / 5.0")]) as engine:
        home.set(scanners="verbose_spamassassin", spamd=engine.address, archive="yes")
        assert home.hand_in() == b""
        assert bytes(engine.told[0]).startswith(b"PROCESS SPAMC/1.5\r\n") and engine.told[0].endswith(CLEAN)
    ((_, found),) = home.queued()
    head, _, rest = found.partition(b" -0000\n")
    assert head.startswith(b"Received: from 192.168.1.22 by ") and rest == theirs
    assert re.search(rf":SA:1\(9\.3/5\.0\): [\d.]+ {len(CLEAN)} ", capfd.readouterr().err)
    (kept,) = (home.spool / "archives/new").iterdir()
    assert kept.read_bytes().endswith(CLEAN) and theirs not in kept.read_bytes()  # as it was received
    assert home.leftovers() == []


def test_ham_that_spamd_has_written_into_is_passed_on_so_unless_another_engine_contradicts(home: ScannedHome) -> None:
    theirs = b"X-Spam-Status: No, score=0.9\n" + CLEAN
    body = b'{"action":"add header","score":7.5,"required_score":15.0}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with (
        ScriptedEngine([ALL, rewriting(theirs, b"Spam: False ; 0.9 / 5.0")]) as engine,
        ScriptedEngine([200, answer]) as rspamd,
    ):
        home.set(scanners="verbose_spamassassin", spamd=engine.address, rspamd=rspamd.address)
        assert home.hand_in() == b""
        assert home.queued()[0][1].endswith(b" -0000\n" + theirs)
        home.set(scanners="verbose_spamassassin,rspamd=JUNK:")
        assert home.hand_in() == b""
    assert home.queued()[0][1].endswith(
        b" -0000\nX-Spam-Status: Yes, hits=7.5 required=15.0\nX-Spam-Level: +++++++\nX-Old-Spam-Status: No, score=0.9\n"
        + CLEAN.replace(b"Subject: ", b"Subject: JUNK: ")
    )


def test_a_message_that_spamd_cuts_short_waits_or_passes_as_it_was(home: ScannedHome) -> None:
    with ScriptedEngine([ALL, rewriting(CLEAN, b"Spam: False ; 0.9 / 5.0")[:-1]]) as engine:
        home.set(scanners="verbose_spamassassin", spamd=engine.address)
        assert home.hand_in() == DEFERRED
        home.set(spamd_failure="pass")
        assert home.hand_in() == b""
    ((_, found),) = home.queued()
    assert b":SA:0(?/?):. \n" in found and found.endswith(b" -0000\n" + CLEAN)


def test_spam_that_is_kept_is_kept_as_it_came(home: ScannedHome) -> None:
    theirs = b"X-Spam-Status: Yes, score=9.3\n" + CLEAN
    with ScriptedEngine([ALL, rewriting(theirs, b"Spam: True ; 9.3 / 5.0")]) as engine:
        home.set(scanners="verbose_spamassassin", spamd=engine.address, spam="quarantine")
        assert home.hand_in() == b""
    (kept,) = home.quarantined()
    assert b"".join(kept.blocks()) == CLEAN


def test_ham_gets_no_field_of_its_own_but_its_score_is_logged(
    home: ScannedHome, capfd: pytest.CaptureFixture[str]
) -> None:
    with ScriptedEngine([ALL, HAM]) as engine:
        home.set(scanners="fast_spamassassin", spamd=engine.address)
        assert home.hand_in() == b""
        assert bytes(engine.told[0]).startswith(
            b"CHECK SPAMC/1.5\r\nContent-length: %d\r\nUser: sj@mail.aaaa.hu\r\n" % len(CLEAN)
        )
    ((_, found),) = home.queued()
    assert b"X-Spam" not in found
    assert "Clear:RC:0(192.168.1.22):SA:0(0.9/5.0): " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("settings", "result", "kept"),
    [
        ({"spam": "reject"}, b"Dthis message is taken for spam: SPAM(9.3/5.0) (#5.7.1)", 0),
        ({"sa_reject": "9.3"}, b"Dthis message is taken for spam: SPAM(9.3/5.0) (#5.7.1)", 0),
        ({"sa_quarantine": "9"}, b"", 1),
        ({"sa_delete": "5"}, b"", 0),
    ],
)
def test_spam_above_a_threshold_goes_no_further(
    home: ScannedHome, settings: dict[str, str], result: bytes, kept: int
) -> None:
    with ScriptedEngine([ALL, SPAM]) as engine:
        home.set(scanners="fast_spamassassin", spamd=engine.address, **settings)
        assert home.hand_in() == result
    assert home.queued() == []
    assert len(home.quarantined()) == kept


def test_spam_below_its_thresholds_is_only_tagged(home: ScannedHome) -> None:
    with ScriptedEngine([ALL, SPAM]) as engine:
        home.set(
            scanners="fast_spamassassin", spamd=engine.address, sa_reject="9.4", sa_quarantine="10", sa_delete="20"
        )
        assert home.hand_in() == b""
    assert len(home.queued()) == 1


def test_clients_who_may_relay_are_spared_the_spam_engine_unless_that_is_wanted(
    home: ScannedHome, capfd: pytest.CaptureFixture[str]
) -> None:
    with ScriptedEngine([ALL, SPAM]) as engine:
        home.set(scanners="fast_spamassassin", spamd=engine.address, spam="reject")
        assert home.hand_in(RELAYCLIENT=b"") == b""
        assert home.hand_in(TCPREMOTEIP=b"") == b""  # from this host itself
        assert "Clear:RC:1(127.0.0.1): " in capfd.readouterr().err
        assert home.hand_in(RELAYCLIENT=b"", QS_SPAMASSASSIN=b"on")[:1] == b"D"
        assert len(engine.told) == 1


def test_rspamd_is_asked_too_and_of_two_that_disagree_the_one_that_found_something_counts(
    home: ScannedHome, capfd: pytest.CaptureFixture[str]
) -> None:
    body = b'{"action":"add header","score":7.5,"required_score":15.0}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with ScriptedEngine([ALL, HAM]) as spamd, ScriptedEngine([200, answer]) as rspamd:
        home.set(scanners="fast_spamassassin,rspamd", spamd=spamd.address, rspamd=rspamd.address)
        assert home.hand_in() == b""
    ((_, found),) = home.queued()
    assert b"\nX-Spam-Status: Yes, hits=7.5 required=15.0\n" in found
    assert ":SA:0(0.9/5.0):RS:1(7.5/15.0): " in capfd.readouterr().err
    with ScriptedEngine([chunks(CLEAN), VIRUS]) as one, ScriptedEngine([ALL, HAM]) as other:
        home.set(scanners="fast_spamassassin,clamdscan", clamd=one.address, spamd=other.address, virus="reject")
        assert home.hand_in() == REFUSED


@pytest.mark.parametrize("script", [[], [STALL], [b"nonsense\0"], [b"x" * 70000], [b"stream: x ERROR\0"]])
def test_mail_waits_while_an_engine_fails_or_passes_if_that_is_wanted(
    home: ScannedHome, script: list[bytes | int | None], capfd: pytest.CaptureFixture[str]
) -> None:
    with ScriptedEngine(script) as engine:
        home.set(scanners="clamdscan", clamd=engine.address, clamd_timeout="1")
        assert home.hand_in() == DEFERRED
        assert home.queued() == []
        assert "warning: clamdscan: " in capfd.readouterr().err
        home.set(clamd_failure="pass")
        assert home.hand_in() == b""
        assert len(home.queued()) == 1


def test_an_engine_that_is_not_there_defers_or_passes_as_well(
    home: ScannedHome, capfd: pytest.CaptureFixture[str]
) -> None:
    home.set(scanners="fast_spamassassin", spamd="127.0.0.1:1")
    assert home.hand_in() == DEFERRED
    home.set(spamd_failure="pass")
    assert home.hand_in() == b""
    assert "Clear:RC:0(192.168.1.22):SA:0(?/?): " in capfd.readouterr().err
    assert len(home.queued()) == 1


def test_a_virus_found_by_one_engine_counts_though_another_fails(home: ScannedHome) -> None:
    with ScriptedEngine([chunks(CLEAN), VIRUS]) as engine:
        home.set(scanners="clamdscan,fast_spamassassin", clamd=engine.address, spamd="127.0.0.1:1", virus="reject")
        assert home.hand_in() == REFUSED


def test_spam_alone_is_no_reason_to_pass_what_no_virus_engine_has_seen(home: ScannedHome) -> None:
    with ScriptedEngine([ALL, SPAM]) as engine:
        home.set(scanners="clamdscan,fast_spamassassin", clamd="/nonexistent", spamd=engine.address)
        assert home.hand_in() == DEFERRED


def test_too_large_messages_are_not_scanned_but_passed_in_little_memory(home: ScannedHome) -> None:
    home.set(
        scanners="clamdscan,fast_spamassassin", clamd="/nonexistent", spamd="/nonexistent", max_scan_size="1000000"
    )
    mail = home.submission()
    block = b"0123456789abcde\n" * 4096
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(800):
        mail.write(CLEAN + block if not number else block)
    assert mail.close(b"a@b", [b"c@d"]) == b""
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8000  # KiB, of 50 MB
    ((_, message),) = home.queued()
    assert message.endswith(CLEAN + block * 800)
    assert home.leftovers() == []


def test_a_large_message_is_too_large_for_spamd_alone(home: ScannedHome, capfd: pytest.CaptureFixture[str]) -> None:
    home.set(scanners="fast_spamassassin", spamd="/nonexistent", sa_maxsize="50")
    assert home.hand_in(b"X-Spam-Status: No, says the sender\n" + CLEAN) == b""
    assert ":SA:0(?/?): " in capfd.readouterr().err
    assert home.queued()[0][1].endswith(b" -0000\nX-Old-Spam-Status: No, says the sender\n" + CLEAN)


# --- what strangers write never reaches a log as it is


EVIL = b"\x1b[2J\x07\nClear:RC:1(1.2.3.4): forged\r\xff\t"


def test_names_subjects_and_addresses_cannot_forge_a_log_or_move_a_cursor(
    home: ScannedHome, capfd: pytest.CaptureFixture[str]
) -> None:
    home.rules(".pif\tSIZE=-1\tPIF")
    home.set(debug="yes", policy="quarantine,reject", virus="quarantine,reject")
    name = base64.b64encode(EVIL + b".pif").decode()
    message = b"Subject: =?utf-8?B?x?= \x1b]0;title\x07\r\nMessage-ID: <\x1b[31m>\n"
    message += with_attachment(f"=?utf-8?B?{name}?=", b"x").partition(b"\n")[2]
    with ScriptedEngine([chunks(message), b"stream: \x1b[2JEvil\x07 FOUND\0"]) as engine:
        assert home.hand_in(message, EVIL + b"@x", (EVIL + b"@y", b"b@c")).startswith(b"D")
        home.set(scanners="clamdscan", clamd=engine.address)
        assert home.hand_in(message, EVIL + b"@x", (EVIL + b"@y", b"b@c")) == (
            b"Dthis message contains the virus ?[2JEvil? (#5.7.1)"
        )
    kept = home.quarantined()
    assert all((k.sender, k.recipients) == (EVIL + b"@x", [EVIL + b"@y", b"b@c"]) for k in kept) and len(kept) == 2
    logs = capfd.readouterr().err.encode() + home.quarantine_log() + (home.spool / "qmail-queue.log").read_bytes()
    assert not [byte for byte in logs if byte not in b"\t\n" and not 32 <= byte <= 126]
    assert len(home.quarantine_log().splitlines()) == 2
    assert all(line.count(b"\t") == 5 for line in home.quarantine_log().splitlines())
    assert not re.search(rb"^Clear:RC:1\(1\.2\.3\.4\)", logs, re.M)


def test_the_header_cannot_be_broken_into_by_an_envelope(home: ScannedHome) -> None:
    home.set(add_dscr_hdrs="all")
    assert (
        home.hand_in(
            CLEAN, b"a\nX-Evil: 1\n\n@b", (b"c\nX-Evil: 2@d",), TCPREMOTEHOST=b"h\nX-Evil: 3", TCPREMOTEINFO=b"i\n"
        )
        == b""
    )
    ((_, message),) = home.queued()
    assert b"\nX-Evil" not in message and message.endswith(CLEAN)
