"""Whom people hand their mail to from .qmail files: Debian's maildrop, procmail and Dovecot, real ones, on a classic
mail host."""

from __future__ import annotations

import re

import pytest

from tests.support.classic import CONTROL, ClassicHost
from tests.support.house import demand, until

pytestmark = pytest.mark.xdist_group("classic mail host")

DOVECOT = """\
protocols = lmtp
base_dir = /run/dovecot
log_path = /var/log/dovecot
ssl = no
mail_location = maildir:~/Maildir
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = passwd
}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
}
protocol lmtp {
  postmaster_address = postmaster@mail.aaaa.hu
}
"""
LOG = "/var/log/all"


@pytest.fixture
def bela(host: ClassicHost) -> ClassicHost:
    """The mail host, with a user bela; qmail-send's log is in /var/log/all."""
    host.add_user("bela")
    host.make_mail_host(**CONTROL)
    host.start_syslog()
    host.start_qmail("./Mailbox")
    return host


def own(host: ClassicHost, name: str, text: str, mode: int = 0o600) -> None:
    """A file of bela's."""
    host.write(f"/home/bela/{name}", text, mode)
    host.must("chown", "bela:", f"/home/bela/{name}")


def send(host: ClassicHost, subject: str, recipient: str = "bela", body: str = "hello") -> None:
    message = f"From: s@s.example\nTo: {recipient}\nSubject: {subject}\n\n{body}\n"
    host.must("qmail-inject", "-f", "sender@mail.aaaa.hu", f"{recipient}@mail.aaaa.hu", stdin=message.encode())


def test_procmail_sorts_with_and_without_preline(bela: ClassicHost) -> None:
    demand("procmail", "procmail")
    own(bela, ".qmail", "|preline procmail\n")
    own(bela, ".qmail-raw", "|procmail ./raw.rc\n", 0o600)
    rules = "DEFAULT=$HOME/procmail.box\n:0:\n* ^Subject:.*list\nlist.box\n\n:0\n* ^Subject:.*no\n{\n  EXITCODE=100\n  :0\n  /dev/null\n}\n"
    rules += "\n:0\n* ^Subject:.*later\n{\n  EXITCODE=75\n  :0\n  /dev/null\n}\n"
    own(bela, ".procmailrc", rules)
    own(bela, "raw.rc", "DEFAULT=$HOME/raw/\nMAILDIR=$HOME\n")
    send(bela, "a list mail")
    found = bela.wait_for("/home/bela/list.box", r"hello\n\n$")
    assert re.match(
        r"From sender@mail.aaaa.hu \w{3} \w{3} [ \d]\d [\d:]{8} \d{4}\n"
        r"Return-Path: <sender@mail.aaaa.hu>\nDelivered-To: bela@mail.aaaa.hu\nReceived: \(qmail ",
        found,
    )
    send(bela, "plain")
    bela.wait_for("/home/bela/procmail.box", r"Subject: plain\n\nhello\n\n$")
    send(bela, "raw", "bela-raw")
    (file,) = bela.wait_for_files("/home/bela/raw/new")
    assert file.read_text().startswith("Received: (qmail ")  # as qmail-local has it, without preline
    send(bela, "later")
    bela.wait_for(LOG, r"deferral: ")
    send(bela, "no way")
    bela.wait_for(LOG, r"failure: ")


def test_maildrop_delivers_by_its_filter(bela: ClassicHost) -> None:
    demand("maildrop", "maildrop")
    own(bela, ".qmail", "|preline -f maildrop\n")
    own(
        bela,
        ".mailfilter",
        'if ( /^Subject:.*list/ )\n{\n    to "Lists"\n}\nif ( /^Subject:.*no/ )\n{\n    EXITCODE=77\n    exit\n}\nto "Own"\n',
    )
    for name in ("Lists", "Own"):
        bela.must("setuidgid", "bela", "maildirmake", f"/home/bela/{name}")
    send(bela, "a list mail")
    send(bela, "mine")
    (listed,) = bela.wait_for_files("/home/bela/Lists/new")
    (mine,) = bela.wait_for_files("/home/bela/Own/new")
    for file, subject in ((listed, "a list mail"), (mine, "mine")):
        text = file.read_text()
        assert text.startswith("Return-Path: <sender@mail.aaaa.hu>\nDelivered-To: bela@mail.aaaa.hu\nReceived: (qmail ")
        assert text.endswith(f"Subject: {subject}\n\nhello\n")
    send(bela, "no way")
    bela.wait_for(LOG, r"failure: ")


def test_dovecot_takes_mail_by_lmtp_and_refuses_whom_it_does_not_know(bela: ClassicHost) -> None:
    demand("dovecot", "dovecot-core")
    bela.write("/etc/dovecot/dovecot.conf", DOVECOT)
    own(bela, ".qmail", '|qmail-lmtp /run/dovecot/lmtp "$USER"\n')
    own(bela, ".qmail-none", "|qmail-lmtp /run/dovecot/lmtp nobody-of-that-name\n")
    send(bela, "early")  # the store is down: nothing bounces
    bela.wait_for(LOG, r"deferral: qmail-lmtp:_fatal:_unable_to_connect_to_/run/dovecot/lmtp:_file_does_not_exist")
    bela.start("dovecot", "-F")
    until(bela.file("/run/dovecot/lmtp").exists, "Dovecot listens")
    assert bela.must("qmail-qctl", "retry", "-r", "bela@*").startswith(b"due #")
    (early,) = bela.wait_for_files("/home/bela/Maildir/new")
    assert "\nSubject: early\n\nhello\n" in early.read_text()
    send(bela, "second", body=".\n.dots\nárvíztűrő")
    text = next(file.read_text() for file in bela.wait_for_files("/home/bela/Maildir/new", 2) if file != early)
    assert re.match(r"Return-Path: <sender@mail.aaaa.hu>\nDelivered-To: ", text)
    assert "\nDelivered-To: bela@mail.aaaa.hu\nReceived: (qmail " in text
    assert text.endswith("\n\n.\n.dots\nárvíztűrő\n")
    bela.wait_for(LOG, r"success: /run/dovecot/lmtp_accepted_message\./Remote_host_said:_250_2\.0\.0_<bela>")
    send(bela, "to nobody", "bela-none")
    bela.wait_for(LOG, r"failure: /run/dovecot/lmtp_does_not_like_recipient\./Remote_host_said:_550_5\.1\.1_")
