"""The article's mail host with its scanner: tcpserver, rblsmtpd, qmail-smtpd, real clamd and spamd, syslogd, Maildir."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import smtplib
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qmail.scanner import probing
from tests.support.classic import CONTROL, ClassicHost
from tests.support.house import Service, until
from tests.support.launchers import Result
from tests.support.scanners import FOUND, RealClamd, RealSpamd

pytestmark = [pytest.mark.xdist_group("classic mail host"), pytest.mark.slow]

RULES = b"""\
192.168.1.:allow,RELAYCLIENT="",QMAILQUEUE="/var/qmail/bin/qmail-scanner-queue"
:allow,QMAILQUEUE="/var/qmail/bin/qmail-scanner-queue"
"""
SUPERVISE = "/var/qmail/supervise/qmail-smtpd"
ARTICLE = ("qmail-scanner-configure", "--log-details", "syslog", "--domain", "mail.aaaa.hu", "--install")
CLEAN = (
    b"From: sj@aaaa.hu\r\nTo: bela@mail.aaaa.hu\r\nSubject: RE: torles\r\nMessage-ID: <E8C8@aaaa.hu>\r\n\r\nhello\r\n"
)


class ScannedHost:
    """The host and its engines."""

    def __init__(self, host: ClassicHost, clamd: RealClamd, spamd: RealSpamd) -> None:
        self.host, self.clamd, self.spamd = host, clamd, spamd
        self.services: dict[str, Service] = {}
        host.add_user("bela")
        host.must("setuidgid", "bela", "maildirmake", "/home/bela/Maildir")
        host.make_mail_host(**CONTROL)
        host.file("/var/spool").mkdir()
        host.start_syslog()
        host.start_dns()
        host.start_qmail("./Maildir/")
        self.start_engines()
        host.start_smtpd()
        host.must("tcprules", "tcp.smtp.cdb", "tcp.smtp.tmp", stdin=RULES, cwd=SUPERVISE)

    def start_engines(self) -> None:
        """Start both, and configure the scanner with what is found, as an administrator would after a while."""
        (self.clamd.directory / "clamd.ctl").unlink(missing_ok=True)
        for engine in (self.clamd, self.spamd):
            self.services[engine.kind] = self.host.start(*engine.argv())
        until(lambda: self.configure().code == 0, lambda: f"engines start: {self.configure()!r} {self.logs()}", 60)

    def logs(self) -> list[str]:
        return [service.log for service in self.services.values()]

    def configure(self, *words: str) -> Result:
        """Run the article's command, with more words."""
        engines = ("--scanners", "clamdscan,fast_spamassassin=SPAM:")
        where = (f"--clamd={self.clamd.address.decode()}", f"--spamd={self.spamd.address.decode()}")
        return self.host.run(*ARTICLE, *engines, *where, *words)

    def send(self, message: bytes, source: str = "192.168.1.30") -> tuple[int, bytes]:
        """Send a message as a client does; the reply to the dot."""
        client = smtplib.SMTP()
        client.sock = self.host.connect(25, "192.168.1.1", source)
        client.sock.settimeout(60)
        client.file = None
        assert client.getreply()[0] == 220
        assert client.helo("sender.example")[0] == 250
        assert client.mail("sj@aaaa.hu")[0] == 250
        assert client.rcpt("bela@mail.aaaa.hu")[0] == 250
        reply = client.data(message)
        client.quit()
        return reply

    def delivered(self, count: int = 1) -> list[str]:
        """The messages in the mailbox, once there are that many."""
        return [file.read_text() for file in self.host.wait_for_files("/home/bela/Maildir/new", count)]

    def logged(self, pattern: str) -> str:
        """The line of syslog that matches."""
        text = self.host.wait_for("/var/log/all", pattern)
        found = re.search(rf"^.*{pattern}.*$", text, re.M)
        assert found
        return found[0]


@pytest.fixture
def scanned(host: ClassicHost) -> Iterator[ScannedHost]:
    """Everything started; the engines end with the house."""
    clamd, spamd = RealClamd(), RealSpamd()
    try:
        yield ScannedHost(host, clamd, spamd)
    finally:
        for engine in (clamd, spamd):
            os.close(engine.log_file)
            shutil.rmtree(engine.directory, ignore_errors=True)


def infected() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("photo.txt", probing.EICAR)
    return (
        b"From: sj@aaaa.hu\r\nTo: bela@mail.aaaa.hu\r\nSubject: Fwd: hey dude! (fwd)\r\nMessage-ID: <1@aaaa.hu>\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nlook\r\n--b\r\n'
        b'Content-Type: application/zip; name="photo-9502.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + base64.encodebytes(packed.getvalue()).replace(b"\n", b"\r\n")
        + b"--b--\r\n"
    )


def clean_mail_is_delivered(scanned: ScannedHost) -> None:
    """With the field on top and the line of listing 16."""
    assert scanned.send(CLEAN)[0] == 250
    (message,) = scanned.delivered()
    short = scanned.host.must("uname", "-n").decode().strip().partition(".")[0]
    assert re.search(
        rf"^Received: from 192\.168\.1\.30 by {short} \(envelope-from <sj@aaaa\.hu>, uid \d+\) with qmail-scanner-2\.01 \n"
        r" \(clamdscan: \S+\. spamassassin: \S+\.   \n Clear:RC:1\(192\.168\.1\.30\):\. \n Processed in [\d.]+ secs\); ",
        message,
        re.M,
    ), message
    line = scanned.logged(r"qmail-scanner\[\d+\]: Clear:")
    assert re.fullmatch(
        r"mail\.info qmail-scanner\[(\d+)\]: Clear:RC:1\(192\.168\.1\.30\): [\d.]+ \d+ sj@aaaa\.hu bela@mail\.aaaa\.hu "
        rf"RE:_torles <E8C8@aaaa\.hu> \d+\.\1-0\.{short}:6 orig-{short}\d{{13}}\1:\d+",
        line,
    ), line


def a_virus_is_kept(scanned: ScannedHost) -> Path:
    """In quarantine, with the lines of listings 17 and 18.  Returns its file."""
    host = scanned.host
    assert scanned.send(infected())[0] == 250
    line = scanned.logged(r"CLAMDSCAN:")
    assert re.fullmatch(
        rf"mail\.info qmail-scanner\[\d+\]: CLAMDSCAN:{re.escape(FOUND.decode())}:RC:1\(192\.168\.1\.30\): [\d.]+ \d+ sj@aaaa\.hu "
        r"bela@mail\.aaaa\.hu Fwd:_hey_dude!_\(fwd\) <1@aaaa\.hu> photo-9502\.zip:\d+",
        line,
    ), line
    alert = scanned.logged(r"quarantine-event\.txt:1000")
    assert 'root@mail.aaaa.hu <> virus_found_in_sent_message_"Fwd:_hey_dude!_(fwd)"' in alert
    quarantine_log = host.file("/var/spool/qscan/quarantine.log").read_text()
    assert re.fullmatch(
        r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} \S+\tsj@aaaa\.hu\tbela@mail\.aaaa\.hu\tFwd: hey dude! \(fwd\)\t"
        rf"{re.escape(FOUND.decode())}\tclamdscan: \S+\. spamassassin: \S+\. \n",
        quarantine_log,
    ), quarantine_log
    listed = host.must("quarantine", "list").decode()
    assert f" sj@aaaa.hu bela@mail.aaaa.hu {FOUND.decode()}\n" in listed
    (kept,) = host.file("/var/spool/qscan/quarantine/viruses/new").iterdir()
    assert kept.stat().st_uid == host.account("qmaild")[0]
    return kept


def test_the_articles_host_delivers_refuses_quarantines_and_tags(scanned: ScannedHost) -> None:
    clean_mail_is_delivered(scanned)
    kept = a_virus_is_kept(scanned)
    # a virus, refused in the dialogue
    assert scanned.configure("--virus", "reject").code == 0
    assert scanned.send(infected()) == (554, b"this message contains the virus %b (#5.7.1)" % FOUND)
    assert len(list(kept.parent.iterdir())) == 1

    # spam from outside: tagged
    assert scanned.send(CLEAN + probing.GTUBE + b"\r\n", "10.9.8.7")[0] == 250
    spam = scanned.delivered(2)
    assert any("\nSubject: SPAM: RE: torles\n" in text and "\nX-Spam-Status: Yes, hits=100" in text for text in spam)
    # and the administrator can change his mind
    assert scanned.host.must("quarantine", "release", kept.name).endswith(b"\n")
    assert any("Fwd: hey dude!" in text for text in scanned.delivered(3))


class Load:
    """Four clients send forty messages, each until it is taken.  `down`: nothing may be taken now."""

    def __init__(self, scanned: ScannedHost) -> None:
        self.scanned = scanned
        self.accepted: list[int] = []
        self.deferred: list[int] = []
        self.down = threading.Event()
        self._errors: list[object] = []
        self._threads = [threading.Thread(target=self._send, args=(range(start, 40, 4),)) for start in range(4)]
        for thread in self._threads:
            thread.start()

    def until(self, reached: Callable[[], bool]) -> None:
        until(lambda: reached() or self._errors, lambda: f"{self.accepted} {self.deferred} {self._errors}", 60)

    def finish(self) -> None:
        for thread in self._threads:
            thread.join(90)
        assert self._errors == []

    def _send(self, numbers: range) -> None:
        try:
            for number in numbers:
                while not self._taken(number):
                    pass
        except BaseException as error:
            self._errors.append(error)

    def _taken(self, number: int) -> bool:
        was_down = self.down.is_set()
        code, text = self.scanned.send(CLEAN.replace(b"E8C8", b"%d" % number), "10.9.8.7")
        if code == 250:
            assert not (was_down and self.down.is_set()), "passed unscanned"
            self.accepted.append(number)
            return True
        assert (code, text) == (451, b"mail server temporarily rejected message (#4.3.0)")
        self.deferred.append(number)
        return False


@pytest.mark.parametrize(("kind", "name"), [("clamd", "clamdscan"), ("spamd", "spamassassin")])
def test_an_engine_that_stops_in_mid_load_loses_no_mail_and_lets_none_pass_unscanned(
    scanned: ScannedHost, kind: str, name: str
) -> None:
    load = Load(scanned)
    load.until(lambda: len(load.accepted) >= 8)
    scanned.services[kind].stop(9)
    load.down.set()
    before = len(load.deferred)
    load.until(lambda: len(load.deferred) >= before + 8)
    load.down.clear()
    if kind == "clamd":
        (Path(scanned.clamd.directory) / "clamd.ctl").unlink(missing_ok=True)
    engine = scanned.clamd if kind == "clamd" else scanned.spamd
    scanned.services[kind] = scanned.host.start(*engine.argv())
    load.finish()
    assert sorted(load.accepted) == list(range(40))
    found = re.findall(r"^Message-ID: <(\d+)@aaaa\.hu>$", "\n".join(scanned.delivered(40)), re.M)
    assert sorted(map(int, found)) == list(range(40))  # each of them, and none twice
    assert f"warning: {name}: " in scanned.logged(rf"mail\.warning? qmail-scanner\[\d+\]: warning: {name}")
