"""Mail to and from the mail hosts that others run: Postfix, OpenSMTPD and Exim, each with its own spool and accounts."""

from __future__ import annotations

import email.utils
import smtplib
from collections.abc import Iterator

import pytest

from tests.support import peers
from tests.support.classic import CONTROL, ClassicHost

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.slow]

BODY = (
    ".\n..\n.dot\n\nFrom a line that mailboxes quote\n"
    + "Árvíztűrő tükörfúrógép\n"
    + "x" * 900
    + "\n \n\tblank \nlast line\n"
).encode()


@pytest.fixture(scope="module", params=["Postfix", "OpenSMTPD", "Exim"])
def host(request: pytest.FixtureRequest) -> Iterator[ClassicHost]:
    """Our host, mail.aaaa.hu, whose user is anna; and the peer, peer.example, whose user is bela."""
    with ClassicHost() as house:
        house.add_classic_accounts()
        for user in ("anna", "bela"):
            house.add_user(user)
        house.must("setpriv", "--reuid=anna", "--clear-groups", "maildirmake", "/home/anna/Maildir")
        house.make_mail_host(**CONTROL, smtproutes=f"peer.example:{peers.ADDRESS}")
        house.start_dns({})
        house.start_qmail("./Maildir/")
        host_words = {
            " 0 25 ": f" {peers.OURS} 25 ",
            "-r sbl-xbl.spamhaus.org -r rbl.aaaa.hu ": "",
            "| splogger smtpd 3": "",
        }
        house.start_smtpd(**host_words)
        peers.start(request.param, house)
        house.connect(25, peers.ADDRESS).close()  # it listens
        yield house


def send(host: ClassicHost, address: str, sender: str, recipient: str) -> bytes:
    """Hand MESSAGE to one of the two hosts; the message."""
    message = (
        f"From: {sender}\nTo: {recipient}\nSubject: hello\nDate: {email.utils.formatdate()}\n"
        f"Message-ID: {email.utils.make_msgid(domain='test.example')}\n"
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    ).encode() + BODY
    with smtplib.SMTP() as client:
        client.sock = host.connect(25, address, peers.OURS)
        client.file = None
        assert client.getreply()[0] == 220
        assert client.ehlo("client.example")[0] == 250
        assert client.mail(sender, ["BODY=8BITMIME"])[0] == 250
        assert client.rcpt(recipient)[0] == 250
        assert client.data(message.replace(b"\n", b"\r\n"))[0] == 250
    return message


def received(host: ClassicHost, user: str, count: int = 1) -> list[bytes]:
    """What is new in a user's Maildir, which is empty then."""
    try:
        files = host.wait_for_files(f"/home/{user}/Maildir/new", count, 90)
    except AssertionError as e:
        logs = host.run("sh", "-c", "tail -n 40 /var/log/*.log /var/log/exim4/*; qmail-qread").out.decode(
            errors="replace"
        )
        raise AssertionError(logs) from e
    found = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    return found


def test_mail_from_the_peer_arrives_unchanged(host: ClassicHost) -> None:
    sent = send(host, peers.ADDRESS, "bela@peer.example", "anna@mail.aaaa.hu")
    (message,) = received(host, "anna")
    assert message.startswith(b"Return-Path: <bela@peer.example>\nDelivered-To: anna@mail.aaaa.hu\nReceived: (qmail ")
    assert f"peer.example) ({peers.ADDRESS})\n  by mail.aaaa.hu with SMTP; ".encode() in message
    assert message.endswith(b"\n\n" + BODY)
    assert sent.partition(b"Message-ID: ")[2].partition(b"\n")[0] in message


def test_mail_to_the_peer_arrives_unchanged(host: ClassicHost) -> None:
    send(host, peers.OURS, "anna@mail.aaaa.hu", "bela@peer.example")
    (message,) = received(host, "bela")
    assert message.endswith(b"\n\n" + BODY)
    head = message.partition(b"\n\n")[0]
    assert b"anna@mail.aaaa.hu" in head.partition(b"Received:")[0]  # its Return-Path
    assert b"mail.aaaa.hu" in head.partition(b"Received: ")[2].partition(b"\nReceived: ")[0]


def test_what_the_peer_refuses_is_told_to_our_sender(host: ClassicHost) -> None:
    send(host, peers.OURS, "anna@mail.aaaa.hu", "nobody-here@peer.example")
    (bounce,) = received(host, "anna")
    assert bounce.startswith(b"Return-Path: <>\nDelivered-To: anna@mail.aaaa.hu\n")
    assert (
        f"<nobody-here@peer.example>:\n{peers.ADDRESS} does not like recipient.\nRemote host said: 550 ".encode()
        in bounce
    )
    assert bounce.endswith(BODY)


def test_our_bounce_reaches_the_peers_sender(host: ClassicHost) -> None:
    """By SMTP, with the empty sender."""
    send(host, peers.ADDRESS, "bela@peer.example", "nobody-here@mail.aaaa.hu")
    (bounce,) = received(host, "bela")
    assert b"<nobody-here@mail.aaaa.hu>:\nSorry, no mailbox here by that name. (#5.1.1)\n" in bounce
    assert bounce.endswith(BODY)


def test_many_messages_at_once_all_arrive(host: ClassicHost) -> None:
    for _ in range(20):
        send(host, peers.OURS, "anna@mail.aaaa.hu", "bela@peer.example")
        send(host, peers.ADDRESS, "bela@peer.example", "anna@mail.aaaa.hu")
    for user in ("anna", "bela"):
        assert all(message.endswith(b"\n\n" + BODY) for message in received(host, user, 20))
