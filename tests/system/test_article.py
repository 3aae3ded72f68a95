"""The article's mail host, its text as it stands: rules, run scripts, accounts, ports, paths."""

from __future__ import annotations

import re
import smtplib
import stat

import pytest

from tests.support.classic import CONTROL, ClassicHost

pytestmark = pytest.mark.xdist_group("classic mail host")

MESSAGE = b"From: sj@aaaa.hu\r\nTo: bela@mail.aaaa.hu\r\nSubject: proba\r\n\r\n.egy\r\nFrom ketto\r\n"


def start(host: ClassicHost, delivery: str) -> None:
    """Everything the article starts."""
    host.make_mail_host(**CONTROL)
    host.start_syslog()
    host.start_dns()
    host.start_qmail(delivery)
    host.start_smtpd()


def send(host: ClassicHost, recipient: str, address: str = "127.0.0.1", source: str = "") -> tuple[int, bytes]:
    """Send MESSAGE as a client does; returns the reply to the dot, or to what was refused."""
    client = smtplib.SMTP()
    client.sock = host.connect(25, address, source)
    client.file = None
    assert client.getreply()[0] == 220
    assert client.helo("sender.example")[0] == 250
    assert client.mail("sj@aaaa.hu")[0] == 250
    reply = client.rcpt(recipient)
    if reply[0] == 250:
        reply = client.data(MESSAGE)
    client.quit()
    return reply


def received(message: str, client: str) -> str:
    """The rest of the message, without the header fields that our host wrote, which are checked."""
    pattern = (
        r"Return-Path: <sj@aaaa.hu>\n"
        r"Delivered-To: bela@mail.aaaa.hu\n"
        r"Received: \(qmail \d+ invoked from network\); \d+ \w+ \d+ \d\d:\d\d:\d\d -0000\n"
        rf"Received: from unknown \(HELO sender.example\) \({re.escape(client)}\)\n"
        r"  by mail.aaaa.hu with SMTP; \d+ \w+ \d+ \d\d:\d\d:\d\d -0000\n"
    )
    found = re.match(pattern, message)
    assert found, message
    return message[found.end() :]


def test_mail_by_smtp_lands_in_the_users_mailbox_and_each_part_is_its_own_account(host: ClassicHost) -> None:
    host.add_user("bela")
    start(host, "./Mailbox")
    assert send(host, "bela@mail.aaaa.hu")[1].startswith(b"ok ")
    mailbox = host.wait_for("/home/bela/Mailbox", r"\n\n$")
    assert stat.S_IMODE(host.file("/home/bela/Mailbox").stat().st_mode) == 0o600
    assert host.file("/home/bela/Mailbox").stat().st_uid == host.account("bela")[0]
    first, _, message = mailbox.partition("\n")
    assert re.fullmatch(r"From sj@aaaa.hu \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", first)
    body = received(message, "127.0.0.1")
    assert body == "From: sj@aaaa.hu\nTo: bela@mail.aaaa.hu\nSubject: proba\n\n.egy\n>From ketto\n\n"
    running = host.processes()
    uids = {name: host.account(name)[0] for name in ("qmaild", "qmaill", "qmailq", "qmailr", "qmails")}
    assert running["qmail-send"] == {uids["qmails"]}
    assert running["qmail-clean"] == running["qmail-queued"] == {uids["qmailq"]}
    assert running["qmail-rspawn"] == {uids["qmailr"]}
    assert running["qmail-lspawn"] <= {0, host.account("bela")[0]}
    assert running["splogger"] == {0, uids["qmaill"]}  # smtpd's pipe begins with root's shell
    assert running["tcpserver"] == {uids["qmaild"]}


def test_mail_by_smtp_lands_in_the_users_maildir(host: ClassicHost) -> None:
    host.add_user("bela")
    host.must("setuidgid", "bela", "maildirmake", "/home/bela/Maildir")
    start(host, "./Maildir/")
    assert send(host, "bela@mail.aaaa.hu", "192.168.1.1", "192.168.1.30")[1].startswith(b"ok ")
    (file,) = host.wait_for_files("/home/bela/Maildir/new")
    assert file.stat().st_uid == host.account("bela")[0]
    body = received(file.read_text(), "192.168.1.30")
    assert body == "From: sj@aaaa.hu\nTo: bela@mail.aaaa.hu\nSubject: proba\n\n.egy\nFrom ketto\n"


def test_relaying_is_for_those_whom_the_rules_name(host: ClassicHost) -> None:
    host.add_user("bela")
    start(host, "./Mailbox")
    assert send(host, "x@elsewhere.example", "192.168.1.1", "10.9.8.7")[0] == 553
    assert send(host, "bela@mail.aaaa.hu", "192.168.1.1", "10.9.8.7")[0] == 250
    assert send(host, "x@elsewhere.example", "192.168.1.1", "192.168.1.30")[0] == 250
    assert send(host, "x@elsewhere.example")[0] == 250
    host.wait_for("/home/bela/Mailbox", r"\n\n$")


def test_a_message_for_nobody_comes_back_to_a_sender_who_lives_here(host: ClassicHost) -> None:
    host.add_user("bela")
    start(host, "./Mailbox")
    client = smtplib.SMTP()
    client.sock = host.connect(25)
    client.file = None
    client.getreply()
    client.sendmail("bela@mail.aaaa.hu", "nobody-here@mail.aaaa.hu", MESSAGE)
    client.quit()
    bounce = host.wait_for("/home/bela/Mailbox", r"^Subject: proba")
    assert "<nobody-here@mail.aaaa.hu>:\nSorry, no mailbox here by that name. (#5.1.1)\n" in bounce
    assert "\nReturn-Path: <bela@mail.aaaa.hu>\n" in bounce  # of the copy: the bounce itself has <>
