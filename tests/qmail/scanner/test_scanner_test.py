"""qmail-scanner-test through a real SMTP server with real engines; the chain both in-process and exec'd."""

from __future__ import annotations

import pytest

from tests.support import launchers
from tests.support.scanned import ScannedHome
from tests.support.scanned import home as home
from tests.support.scanners import FOUND, RealClamd, RealSpamd
from tests.support.server import WAYS, Server

pytestmark = pytest.mark.xdist_group("scan engines")
RULE = "Eicar.com\tSIZE=69\tEICAR Test Virus"


def server(home: ScannedHome, way: str = "in-process") -> Server:
    env = {"QMAILHOME": str(home.home), "QMAILQUEUE": launchers.ours("qmail-scanner-queue"), **WAYS[way]}
    return Server(["qmail-smtpd"], env=env)


def probe(home: ScannedHome, port: int, **env: str) -> launchers.Result:
    argv = ("-f", "a@b", "127.0.0.1", str(port), "bela@mail.aaaa.hu")
    return launchers.run(
        launchers.ours("qmail-scanner-test"), *argv, env={"QMAILHOME": str(home.home), **env}, timeout=120
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_refusing_scanner_answers_the_same_however_it_is_run(
    home: ScannedHome, clamd: RealClamd, spamd: RealSpamd, way: str
) -> None:
    home.rules(RULE)
    home.set(scanners="clamdscan,fast_spamassassin", clamd=clamd.address, spamd=spamd.address, virus="reject")
    with server(home, way) as host:
        done = probe(home, host.port)
    lines = done.out.splitlines()
    assert lines[0].startswith(b"clean: accepted (250 ok ")
    assert lines[1:3] == [
        b"rule: refused (554 this message contains the virus EICAR Test Virus (#5.7.1))",
        b"virus: refused (554 this message contains the virus %b (#5.7.1))" % FOUND,
    ]
    assert lines[3].startswith(b"spam: accepted (250 ok ")
    assert (done.code, done.err) == (0, b"")
    (_, clean), (_, spam) = home.queued()
    assert b"\nX-Spam-Status: Yes, hits=100" in spam and b"X-Spam-Status" not in clean
    assert home.quarantined() == []


def test_a_scanner_that_keeps_things_is_seen_to_do_so(home: ScannedHome, clamd: RealClamd, spamd: RealSpamd) -> None:
    home.rules(RULE)
    home.set(scanners="clamdscan,fast_spamassassin", clamd=clamd.address, spamd=spamd.address, spam="quarantine")
    (home.spool / "quarantine/viruses/new/0").write_text("Subject: none of ours\n\n")
    with server(home) as host:
        done = probe(home, host.port)
    assert [line.partition(b" (")[0] for line in done.out.splitlines()] == [
        *(b"clean: accepted", b"rule: quarantined", b"virus: quarantined", b"spam: quarantined"),
    ]
    (home.spool / "quarantine/viruses/new/0").unlink()
    assert done.code == 0 and len(home.queued()) == 1 and len(home.quarantined()) == 3


def test_spamds_own_report_is_in_what_is_passed_on(home: ScannedHome, spamd: RealSpamd) -> None:
    home.set(scanners="verbose_spamassassin", spamd=spamd.address)
    with server(home) as host:
        assert probe(home, host.port).code == 0
    *_, (_, spam) = home.queued()
    assert b" with qmail-scanner-2.01 \n" in spam and b":SA:1(10" in spam
    assert b"\nX-Spam-Status: Yes, score=10" in spam and b"\n1000 GTUBE " in spam and b"hits=" not in spam


def test_a_scanner_that_does_not_scan_is_found_out(home: ScannedHome, clamd: RealClamd) -> None:
    home.rules(RULE)
    home.set(scanners="clamdscan", clamd=clamd.address, virus="tag")
    with server(home) as host:
        done = probe(home, host.port)
    assert done.code == 100
    assert done.out.splitlines()[2].startswith(b"virus: accepted, and should not be (250 ok ")


def test_engines_that_are_down_make_it_deferred(home: ScannedHome) -> None:
    home.set(scanners="clamdscan", clamd="/nonexistent")
    with server(home) as host:
        done = probe(home, host.port)
    assert done.code == 111
    assert done.out.splitlines()[0] == (
        b"clean: deferred, and should not be (451 mail server temporarily rejected message (#4.3.0))"
    )


def test_nobody_to_talk_to(home: ScannedHome) -> None:
    down = probe(home, 1)
    assert (down.code, down.err) == (
        111,
        b"qmail-scanner-test: fatal: unable to connect to 127.0.0.1: connection refused\n",
    )
    program = launchers.ours("qmail-scanner-test")
    for host in ("nosuch.invalid", "x" * 300):
        unknown = launchers.run(program, host, "25", "a@b")
        assert (unknown.code, unknown.err.decode()) == (111, f"qmail-scanner-test: fatal: unable to find {host}\n")
    for words in (["x"], ["127.0.0.1", "65536", "a@b"], ["127.0.0.1", "smtp", "a@b"]):
        assert launchers.run(program, *words).code == 100
