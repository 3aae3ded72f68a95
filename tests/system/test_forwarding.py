"""fastforward and dot-forward in a running host, set up as their manuals say."""

from __future__ import annotations

import pytest

from tests.support.classic import CONTROL, ClassicHost
from tests.support.house import until

pytestmark = pytest.mark.xdist_group("classic mail host")

ALIASES = """\
# as sendmail has them
postmaster: anna
team: :include:/etc/team, bela
owner-team: anna
log: "|cat >/tmp/logged"
"""
DEFAULT = "'|dot-forward .forward\n./Mailbox'"


def start(host: ClassicHost) -> None:
    """A host that delivers, with two people."""
    for user in ("anna", "bela"):
        host.add_user(user)
    host.make_mail_host(**CONTROL)
    host.start_syslog()
    host.start_qmail(DEFAULT)


def inject(host: ClassicHost, recipient: str) -> None:
    text = f"To: {recipient}\nSubject: to {recipient}\n\nbody\n".encode()
    host.must("qmail-inject", "-fsender@mail.aaaa.hu", recipient, stdin=text)


def test_etc_aliases_works_through_the_default_address(host: ClassicHost) -> None:
    start(host)
    host.write("/etc/aliases", ALIASES)
    host.write("/etc/team", "bela, Anna A. <anna>\n")
    host.must("newaliases")
    host.must("newinclude", "/etc/team")
    host.write("/var/qmail/alias/.qmail-default", "| fastforward -d /etc/aliases.cdb\n")
    inject(host, "Postmaster")
    host.wait_for("/home/anna/Mailbox", r"(?s)Delivered-To: Postmaster@mail.aaaa.hu.*\n\n$")
    inject(host, "team")
    host.wait_for("/home/anna/Mailbox", r"(?s)From owner-team@mail.aaaa.hu .*Delivered-To: team@mail.aaaa.hu")
    mailbox = host.wait_for("/home/bela/Mailbox", r"(?s)Delivered-To: team@mail.aaaa.hu.*\n\n$")
    assert mailbox.count("Subject: to team\n") == 1  # on the list and on the line
    inject(host, "log")
    host.wait_for("/tmp/logged", r"(?s)^From .*Subject: to log\n")
    inject(host, "nobody-here")
    log = host.file("/var/log/all")
    until(lambda: "no_mailbox_here_by_that_name" in log.read_text(), lambda: f"refused: {log.read_text()}")


def test_a_forward_file_is_obeyed_before_the_mailbox(host: ClassicHost) -> None:
    start(host)
    host.write("/home/anna/.forward", '\\anna, bela, "|cat >$HOME/seen"\n')
    inject(host, "anna")
    host.wait_for("/home/anna/Mailbox", r"(?s)Subject: to anna.*\n\n$")
    host.wait_for("/home/bela/Mailbox", r"(?s)Delivered-To: anna@mail.aaaa.hu.*\n\n$")
    host.wait_for("/home/anna/seen", r"(?s)^From .*Subject: to anna")
    host.write("/home/bela/.forward", "anna\n")
    inject(host, "bela")
    host.wait_for("/home/anna/Mailbox", r"(?s)Delivered-To: bela@mail.aaaa.hu.*\n\n$")
    assert "Subject: to bela" not in host.file("/home/bela/Mailbox").read_text()
