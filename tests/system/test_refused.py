"""A blacklisted client, a real name server, and the article's listings 6 and 7."""

from __future__ import annotations

import re

import pytest

from tests.support.classic import CONTROL, ClassicHost
from tests.support.house import demand
from tests.support.server import WAYS, read_all

pytestmark = pytest.mark.xdist_group("classic mail host")

SPAMMER = "192.168.1.22"
LISTING_6 = (
    (b"", b"220 rblsmtpd.local\r\n"),
    (b"HELO localhost\r\n", b"250 rblsmtpd.local\r\n"),
    (b"MAIL FROM:<sj@aaaa.hu>\r\n", b"250 rblsmtpd.local\r\n"),
    (b"RCPT TO:<bela@mail.aaaa.hu>\r\n", b"451 spammer vagy\r\n"),
    (b"QUIT\r\n", b"221 rblsmtpd.local\r\n"),
)
LISTING_7 = r"rblsmtpd: 192\.168\.1\.22 pid PID: 451 spammer vagy\n"
SERVERS = {
    "ours": "tcpserver",
    "the original": "/usr/bin/tcpserver",
}


def is_refused(host: ClassicHost, port: int = 25) -> None:
    """Hold the dialogue of listing 6, one line at a time."""
    with host.connect(port, "192.168.1.1", SPAMMER) as client:
        for command, reply in LISTING_6:
            client.sendall(command)
            heard = b""
            while len(heard) < len(reply) and (data := client.recv(512)):
                heard += data
            assert heard == reply
        assert read_all(client) == b""


def is_served(host: ClassicHost, port: int = 25) -> None:
    """Somebody who is on no list gets the mail host's greeting."""
    with host.connect(port, "192.168.1.1", "192.168.1.30") as client:
        client.sendall(b"QUIT\r\n")
        assert read_all(client) == b"220 mail.aaaa.hu ESMTP\r\n221 mail.aaaa.hu\r\n"


def test_the_articles_host_answers_a_spammer_as_in_listing_6_and_logs_listing_7(host: ClassicHost) -> None:
    host.make_mail_host(**CONTROL)
    host.start_syslog()
    host.start_dns()
    host.start_smtpd()
    is_refused(host)
    host.wait_for("/var/log/all", r"^daemon\.info smtpd: \d+\.\d+ " + LISTING_7.replace("PID", r"\d+"))
    host.wait_for("/var/log/all", r"tcpserver: end \d+ ")  # else the lines of two connections mix
    is_served(host)
    log = host.wait_for("/var/log/all", r"tcpserver: end \d+ .*\n(.*\n)*.*tcpserver: end ")
    lines = re.findall(r"^daemon\.info smtpd: \d+\.\d{6} (.*\n)", log, re.M)
    found = re.search(
        r"tcpserver: pid (\d+) from 192\.168\.1\.22\n"
        r"tcpserver: ok \1 mail\.aaaa\.hu:192\.168\.1\.1:25 :192\.168\.1\.22::\d+\n"
        + LISTING_7.replace("PID", r"\1")
        + r"tcpserver: end \1 status 0\n",
        "".join(lines),
    )
    assert found, log


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("server", SERVERS)
def test_any_tcpserver_can_stand_in_front(host: ClassicHost, server: str, way: str) -> None:
    if server == "the original":
        demand("tcpserver", "ucspi-tcp")
    host.make_mail_host(**CONTROL)
    host.start_dns()
    service = host.start(
        *(SERVERS[server], "-v", "-R", "-l", "mail.aaaa.hu", "-u", str(host.account("qmaild")[0]), "0", "2525"),
        *("rblsmtpd", "-r", "sbl-xbl.spamhaus.org", "-r", "rbl.aaaa.hu", "qmail-smtpd"),
        env=WAYS[way],
    )
    is_refused(host, 2525)
    service.wait_for(LISTING_7.replace("PID", r"\d+"))
    is_served(host, 2525)
