"""Every single program, called alone from a shell with pipes; and the network ones under the original C tcpserver."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import launchers
from tests.support.host import Host
from tests.support.server import Server
from tests.system.alone import ALONE, MESSAGE

# What the commands may use: serve PROGRAM ... starts a server on $port; the message is in ./msg.
PRELUDE = """
serve() {
    tcpserver -1HRl0 127.0.0.1 0 "$@" >port 2>err &
    trap "kill $!" EXIT
    until test -s port; do sleep 0.01; done
    read port <port
}
wait_for() {
    until grep -q "$1" "$2"; do sleep 0.01; done
}
"""


@pytest.fixture
def host() -> Iterator[Host]:
    """An instance, whose path is short."""
    directory = tempfile.mkdtemp(prefix="host")
    try:
        with contextlib.closing(Host(Path(directory, "i"))) as host:
            yield host
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("program", launchers.programs())
def test_a_program_works_alone(program: str, host: Host, tmp_path: Path) -> None:
    commands, stdin, expected, code = ALONE[program]
    (tmp_path / "msg").write_bytes(MESSAGE)
    env = {"QMAILHOME": str(host.home), "TCPREMOTEIP": "127.0.0.1", "OURS": launchers.directory()}
    script = PRELUDE + commands.replace("{}", host.password)
    done = launchers.run("/bin/sh", "-c", script, stdin=stdin, env=env, cwd=tmp_path)
    if isinstance(expected, bytes):
        assert done.out == expected, done
    else:
        assert expected.fullmatch(done.out), done
    assert done.code == code, done
    assert b"Traceback" not in done.err and b"internal error" not in done.err


@pytest.mark.parametrize("program", launchers.programs())
def test_every_program_tells_its_version_and_its_usage(program: str) -> None:
    version = launchers.run(launchers.ours(program), "--version")
    assert (version.code, version.err) == (0, b"")
    assert re.fullmatch(rb"%b \d+(\.\w+)+\n" % re.escape(program.encode()), version.out)
    text = launchers.run(launchers.ours(program), "--help")
    assert (text.code, text.err) == (0, b"")
    assert text.out.startswith(b"Usage: " + program.encode())


# Under a tcpserver: chain, what the client says, what it gets (a pattern), the wait status.
REMOTE: list[tuple[list[str], bytes, bytes, int]] = [
    (["qmail-smtpd"], b"HELO x\r\nQUIT\r\n", rb"220 localhost ESMTP\r\n250 localhost\r\n221 localhost\r\n", 0),
    (["qmail-smtpd"], b"HELO x\r\n", rb"220 localhost ESMTP\r\n250 localhost\r\n", 256),
    (["rblsmtpd", "qmail-smtpd"], b"QUIT\r\n", rb"220 localhost ESMTP\r\n221 localhost\r\n", 0),
    (
        ["softlimit", "-m", "20000000", "rblsmtpd", "qmail-smtpd"],
        b"MAIL FROM:<a@b>\r\nRCPT TO:<demo@localhost>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n",
        rb"220 localhost ESMTP\r\n250 ok\r\n250 ok\r\n354 go ahead\r\n250 ok \d+ qp \d+\r\n221 localhost\r\n",
        0,
    ),
    (
        ["sh", "-c", "exec env RBLSMTPD=no rblsmtpd false"],
        b"QUIT\r\n",
        rb"220 rblsmtpd.local\r\n221 rblsmtpd.local\r\n",
        0,
    ),
    (
        ["qmail-popup", "h", "checkpassword", "qmail-pop3d", "Maildir"],
        b"QUIT\r\n",
        rb"\+OK <\d+\.\d+@h>\r\n\+OK \r\n",
        256,
    ),
    (
        ["qmail-popup", "h", "checkpassword", "qmail-pop3d", "Maildir"],
        b"USER demo\r\nPASS {}\r\nSTAT\r\nQUIT\r\n",
        rb"\+OK <\d+\.\d+@h>\r\n\+OK \r\n\+OK \r\n\+OK 0 0\r\n\+OK \r\n",
        256,
    ),
    (["fixcrio", "tr", "a-z", "A-Z"], b"x\r\n", rb"X\r\n", 0),
    (["recordio", "qmail-smtpd"], b"QUIT\r\n", rb"220 localhost ESMTP\r\n221 localhost\r\n", 0),
    (["addcr"], b"x\n", rb"x\r\n", 0),
    (["argv0", "sh", "me", "-c", "echo $0"], b"", rb"me\n", 0),
    (["setlock", "-n", "{home}/l", "echo", "in"], b"", rb"in\n", 0),
    (["/bin/cat"], b"any\0bytes\xff", rb"any\0bytes\xff", 0),
    (["./script"], b"x\r\n", rb"script got x\r\n", 1024),
    (["sh", "-c", "kill -9 $$"], b"", b"", 9),
]


@pytest.mark.parametrize("server", ["ours", "ours by exec", "the original"])
@pytest.mark.parametrize(
    ("chain", "said", "reply", "status"), REMOTE, ids=[f"{c[0]}-{i}" for i, (c, *_) in enumerate(REMOTE)]
)
def test_a_chain_serves_under_any_tcpserver(
    host: Host, server: str, chain: list[str], said: bytes, reply: bytes, status: int
) -> None:
    tcpserver = launchers.original("tcpserver") if server == "the original" else None
    env = {"QMAILHOME": str(host.home)}
    if server == "ours by exec":
        env["UCSPI_EXEC"] = "1"
    (host.home / "script").write_text('#!/bin/sh\nread x; echo "script got $x"; exit 4\n')
    (host.home / "script").chmod(0o755)
    words = [word.replace("{home}", str(host.home)) for word in chain]
    with Server(words, env=env, tcpserver=tcpserver, cwd=host.home) as served:
        if said.startswith(b"USER"):
            answer = slowly(served, said.replace(b"{}", host.password.encode()))
        else:
            answer = served.talk(said)
        assert re.fullmatch(reply, answer), (answer, served.log)
        assert int(served.wait_for(rb"end \d+ status (\d+)\n")[1]) == status
        assert b"Traceback" not in served.log


def slowly(served: Server, said: bytes) -> bytes:
    """Say one line for every line that comes."""
    with served.connect() as client:
        answer = _line(client)
        for line in said.splitlines(keepends=True):
            client.sendall(line)
            answer += _line(client)
        assert client.recv(100) == b""
    return answer


def _line(client: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += client.recv(1)
    return line


def test_what_the_original_programs_do_our_tcpserver_lets_them_do(host: Host) -> None:
    chain = [launchers.original("rblsmtpd"), launchers.original("recordio"), "/bin/sh", "-c", "echo hello; cat"]
    with Server(chain, env={"QMAILHOME": str(host.home)}, cwd=host.home) as served:
        assert served.talk(b"there\n") == b"hello\nthere\n"
        served.wait_for(rb"end \d+ status 0\n")
        assert re.search(rb"^\d+ > hello $", served.log, re.M)
    assert os.path.exists(launchers.original("tcpserver"))
