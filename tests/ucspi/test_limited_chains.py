"""`softlimit -m 20000000` in front of any mixture of the originals and ours: 20 MB of work for each program of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support import launchers
from tests.support.nameserver import NameServer, zone
from tests.support.network import own_address
from tests.support.server import Server

LISTED = {("1.0.0.127.list.example", "TXT"): ['"go away"']}
DNS = own_address()


@pytest.fixture(scope="module")
def names() -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("port 53 is root's")
    with NameServer(zone(LISTED), ip=DNS, port=53):
        yield


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("softlimit", ["ours", "original"])
@pytest.mark.parametrize("tcpserver", ["ours", "original"])
def test_a_look_up_and_a_refusal_fit_into_the_limit(softlimit: str, tcpserver: str) -> None:
    limit, server = getattr(launchers, softlimit)("softlimit"), getattr(launchers, tcpserver)("tcpserver")
    program = [launchers.ours("rblsmtpd"), "-r", "list.example", "true"]
    wrapper = [limit, "-m", "20000000", server]
    with Server(program, ("-HRl0",), {"DNSCACHEIP": DNS}, wrapper=wrapper) as chain:
        assert chain.talk(b"MAIL\r\nRCPT\r\nQUIT\r\n") == (
            b"220 rblsmtpd.local\r\n250 rblsmtpd.local\r\n451 go away\r\n221 rblsmtpd.local\r\n"
        )


@pytest.mark.parametrize("softlimit", ["ours", "original"])
def test_a_foreign_program_at_the_end_has_the_exact_limit(softlimit: str) -> None:
    wrapper = [getattr(launchers, softlimit)("softlimit"), "-m", "50000000", launchers.ours("tcpserver")]
    with Server(["sh", "-c", "ulimit -v; ulimit -d"], wrapper=wrapper) as chain:
        assert chain.talk() == b"48828\n48828\n"
