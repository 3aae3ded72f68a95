"""The log of one delivery, through splogger into a real syslogd: listing 5."""

from __future__ import annotations

import re

import pytest

from tests.support.classic import CONTROL, ClassicHost

pytestmark = pytest.mark.xdist_group("classic mail host")

# One delivery's life; (?P=m) is its message number, a stamp of seconds and six digits stands in front of each line.
LISTING_5 = r"""new msg (?P<m>\d+)
info msg (?P=m): bytes (?P<bytes>\d+) from <sj@aaaa\.hu> qp (?P<qp>\d+) uid (?P<uid>\d+)
starting delivery 1: msg (?P=m) to local bela@mail\.aaaa\.hu
status: local 1/10 remote 0/20
delivery 1: success: did_1\+0\+0/
status: local 0/10 remote 0/20
end msg (?P=m)
"""
MESSAGE = b"From: sj@aaaa.hu\nTo: bela@mail.aaaa.hu\nSubject: proba\n\negy\n"


def lines_of(log: str) -> str:
    """qmail's lines without what syslogd and splogger put in front."""
    return "".join(re.findall(r"^mail\.info qmail: \d{10,}\.\d{6} (.*\n)", log, re.M))


def deliver(host: ClassicHost, delivery: str) -> tuple[re.Match[str], str]:
    """Inject MESSAGE as bela, wait for its end; returns what the log has about it, and the whole log."""
    host.must("setuidgid", "bela", "qmail-inject", "-fsj@aaaa.hu", "bela@mail.aaaa.hu", stdin=MESSAGE)
    log = host.wait_for("/var/log/all", r"end msg \d+$")
    found = re.fullmatch(r"status: local 0/10 remote 0/20\n" + LISTING_5, lines_of(log))
    assert found, log
    return found, log


@pytest.mark.parametrize("delivery", ["./Mailbox", "./Maildir/"])
def test_syslog_has_the_lines_of_one_delivery_in_order(host: ClassicHost, delivery: str) -> None:
    host.add_user("bela")
    host.must("setuidgid", "bela", "maildirmake", "/home/bela/Maildir")
    host.make_mail_host(**CONTROL)
    host.start_syslog()
    host.start_qmail(delivery)
    found, log = deliver(host, delivery)
    mailbox = (
        host.file("/home/bela/Mailbox") if delivery == "./Mailbox" else host.wait_for_files("/home/bela/Maildir/new")[0]
    )
    message = mailbox.read_bytes().partition(b"Received: ")[2]
    assert message.startswith(b"(qmail %b invoked by uid %b)" % (found["qp"].encode(), found["uid"].encode()))
    assert int(found["uid"]) == host.account("bela")[0]
    # What was queued, Received line and all: the mbox adds one empty line.
    assert int(found["bytes"]) == len(b"Received: " + message) - (delivery == "./Mailbox")
    stamps = [float(stamp) for stamp in re.findall(r"^mail\.info qmail: (\S+) ", log, re.M)]
    assert stamps == sorted(stamps)


def test_a_failed_delivery_is_logged_as_failure_and_starts_a_bounce(host: ClassicHost) -> None:
    host.add_user("bela")
    host.make_mail_host(**CONTROL)
    host.start_syslog()
    host.start_qmail("./Mailbox")
    host.must("qmail-inject", "-fbela@mail.aaaa.hu", "nobody-here@mail.aaaa.hu", stdin=MESSAGE)
    host.wait_for("/home/bela/Mailbox", r"^Subject: proba")
    log = host.wait_for("/var/log/all", r"end msg \d+\n[\s\S]*end msg ")
    pattern = (
        r"delivery 1: failure: Sorry,_no_mailbox_here_by_that_name\._\(#5\.1\.1\)/\n(.*\n)*bounce msg \d+ qp \d+\n"
    )
    assert re.search(pattern, lines_of(log)), log


def test_the_priority_follows_the_first_word(host: ClassicHost) -> None:
    host.start_syslog()
    lines = b"alert: one\nwarning: two\nstatus: three\n"
    host.must("splogger", "tag", "3", stdin=lines)
    log = host.wait_for("/var/log/all", "three")
    found = re.findall(r"^daemon\.(\w+) tag: \d+\.\d{6} (.*)$", log, re.M)
    assert found == [("alert", "alert: one"), ("warning", "warning: two"), ("info", "status: three")]
