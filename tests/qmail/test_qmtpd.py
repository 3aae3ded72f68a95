"""qmail-qmtpd and qmail-qmqpd as processes: environment, control files, the queue program, exit codes (spec 4)."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from qmail.protocol.netstring import pack
from tests.support import launchers
from tests.support.server import WAYS, Server
from tests.support.storing import StoringHost

OK = re.compile(rb"(\d\d:Kok \d{10} qp \d+,)+")
NO_GATEWAY = b"66:Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1),"
PACKAGE = pack(b"\nSubject: x\n\nhi\n") + pack(b"s@e.example") + pack(pack(b"x@mail.example.org"))
MAIL = pack(pack(b"Subject: x\n\nhi\n") + pack(b"s@e.example") + pack(b"y@any.example"))
ADDRESSES = {
    "qmail-qmtpd": b"Fs@e.example\0Tx@mail.example.org\0\0",
    "qmail-qmqpd": b"Fs@e.example\0Ty@any.example\0\0",
}
SAID = {"qmail-qmtpd": PACKAGE, "qmail-qmqpd": MAIL}


@pytest.fixture(params=SAID)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> StoringHost:
    return StoringHost(tmp_path, request.param)


@pytest.fixture
def qmtp(tmp_path: Path) -> StoringHost:
    return StoringHost(tmp_path, "qmail-qmtpd")


def test_a_mail_gets_a_trace_line_and_reaches_the_queue_with_its_envelope(host: StoringHost) -> None:
    done = host.talk(SAID[host.program], TCPREMOTEINFO="joe user")
    assert (done.code, done.err) == (0, b"") and OK.fullmatch(done.out)
    message, envelope = host.stored()
    protocol = host.program[-5:-1].upper().encode()
    trace, body = message.split(b"\n", 2)[:2], message.split(b"\n", 2)[2]
    assert trace[0] == b"Received: from client.example.net (joe?user@192.0.2.7)"
    assert re.fullmatch(rb"  by mx.example.org with %b; \d+ \w{3} \d{4} \d\d:\d\d:\d\d -0000" % protocol, trace[1])
    assert (body, envelope) == (b"Subject: x\n\nhi\n", ADDRESSES[host.program])


@pytest.mark.parametrize(("data", "code"), [(b"", 0), (b"5:", 0), (b"x:", 100), (b"9999999999:", 111)])
def test_what_is_no_netstring_is_left_without_a_word(host: StoringHost, data: bytes, code: int) -> None:
    assert host.talk(data) == launchers.Result(code, b"", b"")


@pytest.mark.parametrize(("status", "result"), [("31", b"Dmail server permanently rejected message (#5.3.0)"), ("53", b"Zqq write error or disk full (#4.3.0)")])  # fmt: skip
def test_what_the_queue_program_says_is_the_answer_and_is_logged(host: StoringHost, status: str, result: bytes) -> None:
    done = host.talk(SAID[host.program], STATUS=status)
    assert (done.code, done.out) == (0, pack(result))
    line = rb"%b: 192\.0\.2\.7 pid \d+: from <s@e\.example> %b\n" % (host.program.encode(), re.escape(result))
    assert re.fullmatch(line, done.err)


def test_without_a_home_there_is_only_trouble(host: StoringHost) -> None:
    assert host.talk(SAID[host.program], QMAILHOME=str(host.home / "none")) == launchers.Result(111, b"", b"")


def test_a_client_that_is_gone_is_no_error(host: StoringHost) -> None:
    (host.home / "in").write_bytes(SAID[host.program])
    reader, writer = os.pipe()
    os.close(reader)
    with open(host.home / "in", "rb") as stdin:
        env = {"PATH": "/bin:/usr/bin", **host.env}
        process = subprocess.Popen([launchers.ours(host.program)], stdin=stdin, stdout=writer, env=env)
    os.close(writer)
    assert process.wait() == 0


@pytest.mark.parametrize("way", WAYS)
def test_connections_served_one_after_the_other_share_nothing(host: StoringHost, way: str) -> None:
    said = SAID[host.program]
    with Server([launchers.ours(host.program)], env={**host.env, **WAYS[way]}) as server:
        for data in (said[:-3], said, b"x", said):
            answer = server.talk(data)
            assert OK.fullmatch(answer) if data == said else answer == b""
    assert host.stored()[1] == ADDRESSES[host.program]


@pytest.mark.parametrize("name", ["me", "databytes", "rcpthosts", "morercpthosts.cdb"])
def test_each_control_file_of_qmtpd_must_be_readable(qmtp: StoringHost, name: str) -> None:
    (qmtp.control / name).unlink(missing_ok=True)
    os.symlink(name, qmtp.control / name)
    assert qmtp.talk(PACKAGE) == launchers.Result(111, b"", b"")


def test_rcpthosts_databytes_and_relayclient_are_honoured(qmtp: StoringHost) -> None:
    data = pack(b"\nhi there\n") + pack(b"s@\x1b[31m") + pack(pack(b"x@no.example") + pack(b"y"))
    done = qmtp.talk(data)
    assert done.out.startswith(NO_GATEWAY) and OK.fullmatch(done.out[len(NO_GATEWAY) :])
    logged = b"from <s@_[31m> to <x@no.example> 553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\n"
    assert done.err.endswith(logged) and done.err.count(b"\n") == 1
    too_big = b"61:Dsorry, that message size exceeds my databytes limit (#5.3.4),"
    assert qmtp.talk(data, DATABYTES="3").out == NO_GATEWAY + too_big  # 56
    qmtp.set("databytes", "3")
    assert qmtp.talk(data).out == NO_GATEWAY + too_big
    assert OK.fullmatch(qmtp.talk(data, DATABYTES="0", RELAYCLIENT="@r").out)
    assert qmtp.stored()[1] == b"Fs@\x1b[31m\0Tx@no.example@r\0Ty@r\0\0"
    (qmtp.control / "rcpthosts").unlink()
    qmtp.set("databytes", "9")
    assert OK.fullmatch(qmtp.talk(data).out)


def test_a_hundred_thousand_recipients_are_taken(qmtp: StoringHost) -> None:
    data = pack(b"\nx") + pack(b"s") + pack(pack(b"x@mail.example.org") * 100_000)
    assert qmtp.talk(data).out.count(b":Kok ") == 100_000
    assert qmtp.stored()[1].count(b"\0") == 100_002


def test_refusals_without_number_are_logged_a_hundred_times(qmtp: StoringHost) -> None:
    data = pack(b"\nx") + pack(b"s") + pack(pack(b"x@no.example") * 5000)
    lines = qmtp.talk(data).err.split(b"\n")
    assert len(lines) == 101 and lines[99].endswith(b"(more is not logged)")
