"""The whole scanner in one process, with engines that play scripts: what becomes of mail, and what is said of it."""

from __future__ import annotations

import base64
import io
import os
import re
import resource
import time
import zipfile
from pathlib import Path

import pytest

from qmail.core import submit
from qmail.scanner import scanning
from tests.support.engines import ALL, STALL, ScriptedEngine
from tests.support.scanned import CLEAN, ScannedHome
from tests.support.scanned import home as home
from ucspi.core import chain

OK, VIRUS = b"stream: OK\0", b"stream: Worm.Sober.G FOUND\0"
DEFERRED = b"Zmail server temporarily rejected message (#4.3.0)"
REFUSED = b"Dthis message contains the virus Worm.Sober.G (#5.7.1)"


def chunks(message: bytes) -> int:
    """Bytes that INSTREAM makes of it."""
    return len(message) + 10 + 4 * (len(message) // 65536 + 1) + 4


def with_attachment(name: str, content: bytes, subject: str = "x") -> bytes:
    return (
        (
            f"From: a@b\nSubject: {subject}\nMessage-ID: <1@x>\nMIME-Version: 1.0\n"
            f'Content-Type: multipart/mixed; boundary="bb"\n\n--bb\n\nhello\n--bb\n'
            f'Content-Type: application/x; name="{name}"\nContent-Transfer-Encoding: base64\n\n'
        ).encode()
        + base64.encodebytes(content)
        + b"--bb--\n"
    )


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


def test_clients_who_may_relay_are_spared_the_spam_engine_unless_that_is_wanted(home: ScannedHome) -> None:
    with ScriptedEngine([ALL, SPAM]) as engine:
        home.set(scanners="fast_spamassassin", spamd=engine.address, spam="reject")
        assert home.hand_in(RELAYCLIENT=b"") == b""
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
    assert home.hand_in() == b""
    assert ":SA:0(?/?): " in capfd.readouterr().err


# --- the own rules


@pytest.mark.parametrize(
    ("rule", "message", "event"),
    [
        (".pif\tSIZE=-1\tPIF files blocked by Policy", with_attachment("A.PIF", b"x"), b"PIF files blocked by Policy"),
        (".pif\t0\tPIF files", with_attachment("a.txt.pif .", b"x"), b"PIF files"),
        ("Eicar.com\tSIZE=69\tEICAR Test Virus", with_attachment("eicar.com", b"0" * 69), b"EICAR Test Virus"),
        ("You are 0wNed\tPolicy-Subject:\tNasty emails", b"Subject: you are\n 0WNED\n\n", b"Nasty emails"),
        ("You are 0wNed\tPolicy-Subject:\tNasty", b"Subject: =?utf-8?B?WW91IGFyZSAwd05lZA==?=\n\n", b"Nasty"),
        (
            r".*msdownload.*\tPolicy-Content-Type:\tNo programs".replace("\\t", "\t"),
            with_attachment("a", b"").replace(b"application/x", b"application/x-msdownload"),
            b"No programs",
        ),
        ("sj@.*\tPolicy-MAILFROM:\tNot him", CLEAN, b"Not him"),
        ("192.*\tVirus-REMOTEIPADDR:\tNot there", CLEAN, b"Not there"),
        ("sj@mail.*\tPolicy-RCPTTO:\tNot to him", CLEAN, b"Not to him"),
        (".*\tPolicy-FILEDOUBLEBARRELED:\tDouble", with_attachment("a.txt.exe", b"x"), b"Double"),
        (".*\tPolicy-FILELENGTHTOOLONG:\tLong", with_attachment("a" * 300, b"x"), b"Long"),
        (".*\tPolicy-FILECLSID:\tCLSID", with_attachment("a.{00021401-0000-0000-C000-000000000046}", b"x"), b"CLSID"),
    ],
)
def test_a_rule_stops_what_it_describes(home: ScannedHome, rule: str, message: bytes, event: bytes) -> None:
    home.rules("# a comment", rule)
    assert home.hand_in(message) == b""
    (kept,) = home.quarantined()
    assert (kept.event, kept.scanner) == (event, b"perlscan")
    assert home.queued() == []


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (".pif\tSIZE=-1\tx", with_attachment("pif", b"x")),
        ("eicar.com\tSIZE=69\tx", with_attachment("eicar.com", b"0" * 68)),
        ("You are\tPolicy-Subject:\tx", b"Subject: you are mine\n\n"),
        ("x\tPolicy-Subject:\tx", b"From: a\n\nSubject: x\n"),
        (".*\tPolicy-FILEDOUBLEBARRELED:\tx", with_attachment("a.exe", b"x")),
        (".*\tPolicy-CRYPTODETAILS:\tx", CLEAN),
    ],
)
def test_a_rule_leaves_alone_what_it_does_not_describe(home: ScannedHome, rule: str, message: bytes) -> None:
    home.rules(rule)
    assert home.hand_in(message) == b""
    assert len(home.queued()) == 1


def zipped(name: str, content: bytes, password: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    data = file.getvalue()
    return data.replace(b"\x14\0\0\0\x08", b"\x14\0\1\0\x08") if password else data


def test_rules_see_into_zips_and_know_those_with_a_password(home: ScannedHome) -> None:
    home.rules(".pif\tSIZE=-1\tPIF", "1\tPolicy-ZIPPASSWORDPROTECTED:\tPassword")
    home.hand_in(with_attachment("a.zip", zipped("b.pif", b"x")))
    home.hand_in(with_attachment("a.zip", zipped("b.txt", b"x", password=True)))
    assert {kept.event for kept in home.quarantined()} == {b"PIF", b"Password"}


def test_a_zip_bomb_and_a_lying_zip_are_policy_events_and_cost_nothing(home: ScannedHome) -> None:
    home.set(max_zip_size="1000000")
    start = time.process_time()
    bomb = zipped("bomb", bytes(2_000_000))
    made = time.process_time() - start
    assert home.hand_in(with_attachment("a.zip", bomb)) == b""
    lying = bomb.replace((2_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))  # in both places
    home.hand_in(with_attachment("b.zip", lying))
    at = bomb.rindex((2_000_000).to_bytes(4, "little"))
    home.hand_in(with_attachment("c.zip", bomb[:at] + (100).to_bytes(4, "little") + bomb[at + 4 :]))
    assert time.process_time() - start - made < 2
    found = [kept.event for kept in home.quarantined()]
    assert sorted(found) == [b"Disallowed breakage found in archive", b"Disallowed size of unpacked archive"]
    assert len(home.queued()) == 1  # it tells one lie everywhere: what it hides, clamd unpacks


def test_mime_bombs_are_policy_events(home: ScannedHome) -> None:
    home.set(policy="reject")
    parts = b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\n\n" * 10000
    assert home.hand_in(parts) == b"Dthis message is not allowed here: Disallowed number of MIME parts (#5.7.1)"
    deep = b"Content-Type: message/rfc822\n\n" * 500
    assert home.hand_in(deep) == b"Dthis message is not allowed here: Disallowed depth of MIME parts (#5.7.1)"
    long = b"X: y\n" * 100000 + b"\n"
    assert home.hand_in(long) == b"Dthis message is not allowed here: Disallowed length of headers (#5.7.1)"
    nul = b"Subject: a\0b\n\n"
    assert home.hand_in(nul).startswith(
        b"Dthis message is not allowed here: Disallowed MIME characters found in headers"
    )
    home.set(ignore_eol_check="yes")
    assert home.hand_in(nul) == b""


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


# --- trouble on this side


def test_a_full_spool_defers_and_leaves_nothing(home: ScannedHome) -> None:
    with ScriptedEngine([chunks(CLEAN), VIRUS]) as engine:
        home.set(scanners="clamdscan", clamd=engine.address, virus="quarantine,reject")
        place = home.spool / "quarantine/viruses/tmp"
        place.rmdir()
        assert home.hand_in() == b"Zqq write error or disk full (#4.3.0)"
    (home.spool / "working/tmp").rmdir()
    assert home.hand_in(CLEAN + b"x" * 300000) == b"Zqq write error or disk full (#4.3.0)"
    assert home.queued() == [] and home.quarantined() == []


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
