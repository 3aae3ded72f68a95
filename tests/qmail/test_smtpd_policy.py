"""What the administrator says to qmail-smtpd, in control files and environment, and what it logs of refusals."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

import cdbx
import pytest

from tests.support import launchers
from tests.support.smtpdhost import BYE, GREETING, NO_CONTROLS, NO_GATEWAY, OK, START, Host, receive


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_refusal_is_logged_in_one_line_whatever_the_client_has_said(host: Host) -> None:
    done = host.talk(
        b"MAIL FROM:<a b\x1b[31m@\xff>\r\nRCPT TO:<\x07x@no.example>\r\nQUIT\r\n", TCPREMOTEIP="2001:db8::7"
    )
    line = rb"qmail-smtpd: 2001:db8::7 pid \d+: from <a_b_\[31m@_> to <_x@no\.example> 553 sorry, that domain isn't"
    assert re.fullmatch(line + rb" in my list of allowed rcpthosts \(#5\.7\.1\)\n", done.err)
    assert host.talk(START + b".\r\n", STATUS="82", TEXT="Dno\nno\x1b").err.endswith(b"from <a@b.example> 554 no?no?\n")


def test_nothing_is_logged_where_the_log_is_the_client(host: Host) -> None:
    ours, theirs = socket.socketpair()
    env = {"PATH": os.environ["PATH"], **host.env}
    process = subprocess.Popen([launchers.ours("qmail-smtpd")], stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    theirs.close()
    ours.sendall(b"MAIL <>\r\nRCPT <x@no.example>\r\nQUIT\r\n")
    assert receive(ours, lambda data: False) == GREETING + OK + NO_GATEWAY + BYE
    assert process.wait() == 0


def test_refusals_without_number_are_logged_a_hundred_times(host: Host) -> None:
    lines = host.talk(b"MAIL <>\r\n" + b"RCPT <x@no.example>\r\n" * 1000).err.splitlines()
    assert len(lines) == 100 and lines[99].endswith(b"(more is not logged)")


@pytest.mark.parametrize(
    ("control", "env", "replies"),
    [
        (None, {}, "reject"),
        (None, {"BARELF": "normalize"}, "taken"),
        ("normalize\n", {}, "taken"),
        ("normalize\n", {"BARELF": "reject"}, "reject"),
        (None, {"BARELF": "allow"}, "twice"),
        ("allow\n", {}, "twice"),
        (None, {"ALLOW_BARELF": ""}, "twice"),
        (None, {"BARELF": "yes"}, "reject"),
    ],
)
def test_bare_newlines_are_what_the_administrator_says(
    host: Host, control: str | None, env: dict[str, str], replies: str
) -> None:
    if control:
        host.set("barelf", control)
    done = host.talk(START + b"a\n.\n" + START + b"b\r\n.\r\nQUIT\r\n", **env)
    assert (b"none of reject, normalize, allow" in done.err) == (env.get("BARELF") == "yes")
    accepted = done.out.count(b"\r\n250 ok 1")
    assert (accepted, b"smtplf" in done.out) == {"reject": (0, True), "taken": (1, False), "twice": (2, False)}[replies]
    if replies == "taken":
        assert host.stored()[0].endswith(b"\na\n.\n" + START.replace(b"\r", b"") + b"b\n")


def test_ehlo_offers_the_size_that_databytes_allows(host: Host) -> None:
    said = b"EHLO x\r\nMAIL FROM:<a@b> SIZE=1001\r\nMAIL FROM:<a@b> SIZE=1000\r\nQUIT\r\n"
    done = host.talk(said, DATABYTES="1000")
    assert b"\r\n250-SIZE 1000\r\n" in done.out
    too_big = b"552 5.3.4 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"
    assert done.out.endswith(too_big + b"250 2.1.0 ok\r\n221 2.0.0 mail.example.org\r\n")


def test_a_recipient_at_an_ipv6_address_of_ours_is_at_localiphost(host: Host) -> None:
    _, envelope = host.taken(b"MAIL <>\r\nRCPT TO:<x@[IPv6:0:0::1]>\r\nDATA\r\n.\r\n")
    assert envelope == b"F\0Tx@mail.example.org\0\0"


def test_rcpthosts_that_is_empty_differs_from_none(host: Host) -> None:  # 33
    data = b"MAIL FROM:<>\r\nRCPT TO:<x@m.example>\r\nRCPT TO:<x>\r\n"
    host.set("rcpthosts", "")
    assert host.replies(data) == OK + NO_GATEWAY + OK
    (host.control / "rcpthosts").unlink()
    assert host.replies(data) == OK * 3


def test_a_damaged_database_ends_the_session_when_it_is_needed(host: Host) -> None:  # 34
    with open(host.control / "morercpthosts.cdb", "wb") as file:
        maker = cdbx.CDB.make(file)
        maker.add(b"big.example", b"")
        maker.commit()
    data = b"MAIL FROM:<>\r\nRCPT TO:<x@mail.example.org>\r\nRCPT TO:<x@big.example>\r\n"
    assert host.replies(data) == OK * 3
    os.truncate(host.control / "morercpthosts.cdb", 2060)
    assert host.talk(data + b"NOOP\r\n") == launchers.Result(1, GREETING + OK * 2 + NO_CONTROLS, b"")


def test_relayclient_badmailfrom_and_localiphost_are_honoured(host: Host) -> None:  # 20, 22, 24
    host.set("badmailfrom", "@Evil.example\n")
    data = b"MAIL FROM:<x@EVIL.example>\r\nRCPT TO:<y>\r\n"
    data += b"MAIL FROM:<a@[127.0.0.1]>\r\nRCPT TO:<x@any.example>\r\nDATA\r\n.\r\n"
    _, envelope = host.taken(data, RELAYCLIENT="@relay.example")
    assert envelope == b"Fa@mail.example.org\0Tx@any.example@relay.example\0\0"
    assert b"badmailfrom list" in host.replies(data)
