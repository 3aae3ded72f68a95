"""tcpserver when things go wrong: clients by the thousand, signals at any moment, nothing left to fork or open."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rrset
import pytest

from tests.support import launchers
from tests.support.nameserver import NameServer
from tests.support.network import own_address
from tests.support.server import WAYS, Server, read_all

BOTH = ["original", "ours"]


def tcpserver(which: str) -> str:
    return launchers.original("tcpserver") if which == "original" else launchers.ours("tcpserver")


def processes(server: Server) -> Iterator[int]:
    """The server and its workers."""
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.getpgid(int(name)) == server.process.pid:
                yield int(name)
        except ProcessLookupError:
            continue


def seconds(server: Server) -> float:
    """CPU time they have used."""
    ticks = 0
    for pid in processes(server):
        try:
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def held(pid: int) -> tuple[int, int]:
    """Descriptors and resident pages of a process."""
    return len(os.listdir(f"/proc/{pid}/fd")), int(Path(f"/proc/{pid}/statm").read_text().split()[1])


def workers(server: Server) -> list[int]:
    """All of them, as soon as it forks no more: it does so while the first connection is served."""
    found: list[int] = []
    while True:
        before, found = found, [pid for pid in processes(server) if pid != server.process.pid]
        if found and found == before:
            return found
        time.sleep(0.3)


@pytest.mark.slow
def test_a_client_that_connects_ten_thousand_times_is_served_ten_thousand_times() -> None:
    with Server([launchers.ours("rblsmtpd"), "-t0", "true"], ("-HRl0", "-Q"), {"RBLSMTPD": "no"}) as server:
        assert server.talk() == b"451 no\r\n"
        before = held(server.process.pid)

        def connect(times: int) -> None:
            for _ in range(times):
                with server.connect() as client:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no TIME-WAIT
                    answers.append(read_all(client))

        answers: list[bytes] = []
        clients = [threading.Thread(target=connect, args=(2500,)) for _ in range(4)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        assert answers == [b"451 no\r\n"] * 10000
        after = held(server.process.pid)
        assert after[0] == before[0] and after[1] < before[1] + 2000  # pages: 8 MB


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGALRM])
def test_a_signal_at_any_moment_ends_it_as_it_ends_the_original(number: int, way: str) -> None:
    chance = random.Random(number)
    for _ in range(6):
        server = Server(["sh", "-c", "echo hello"], ("-HRl0",), WAYS[way])
        with server:
            stop = threading.Event()

            def connect(server: Server = server, stop: threading.Event = stop) -> None:
                while not stop.is_set():
                    try:
                        with server.connect() as client:
                            read_all(client)
                    except OSError:
                        return

            client = threading.Thread(target=connect)
            client.start()
            time.sleep(chance.random() * 0.3)
            server.process.send_signal(number)
            code = server.process.wait(20)
            stop.set()
            client.join()
            assert code == (0 if number == signal.SIGTERM else -number)
            assert b"Traceback" not in server.log and b"internal error" not in server.log


def test_without_free_descriptors_it_waits_and_does_not_spin() -> None:
    with Server(["echo", "hello"]) as server:
        assert server.talk() == b"hello\n"
        before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in workers(server)}
        for pid, (_, hard) in before.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
        with server.connect() as client:
            used = seconds(server)
            client.settimeout(1.5)
            with pytest.raises(TimeoutError):
                client.recv(10)
            assert seconds(server) - used < 0.5
            for pid, limits in before.items():
                try:
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
                except ProcessLookupError:
                    pass
            client.settimeout(20)
            assert read_all(client) == b"hello\n"
        assert server.talk() == b"hello\n"


@pytest.mark.parametrize("which", BOTH)
def test_when_it_cannot_fork_it_says_so_and_serves_who_comes_later(which: str) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    wrapper = [strace, "-D", "-qq", "-o", "/dev/null", "-e", "trace=clone", "-e", "inject=clone:error=EAGAIN:when=1..2"]
    with Server(["echo", "hello"], wrapper=[*wrapper, tcpserver(which)]) as server:
        if which == "original":
            assert [server.talk(), server.talk()] == [b"", b""]  # ours has not taken a client that it cannot serve
        assert server.talk() == b"hello\n"
        server.wait_for(rb"(tcpserver: warning: dropping connection, unable to fork: temporary failure\n(.*\n)*){2}")


@pytest.mark.parametrize("which", [*sorted(WAYS), "original"])
def test_a_client_that_is_gone_before_the_banner_is_dropped(which: str) -> None:
    server = Server(
        ["echo", "hello"],
        ("-HRl0", "-B220 hello"),
        WAYS.get(which, {}),
        tcpserver=None if which in WAYS else tcpserver(which),
    )
    with server:
        os.killpg(server.process.pid, signal.SIGSTOP)
        with server.connect() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.killpg(server.process.pid, signal.SIGCONT)
        server.wait_for(rb"tcpserver: warning: dropping connection, unable to print banner: connection reset\n")
        server.wait_for(rb"tcpserver: end \d+ status 28416\n")
        assert server.talk() == b"220 hellohello\n"


def _loop(query: dns.message.Message) -> bytes:
    """An answer whose owner name is a pointer to itself."""
    wire = bytearray(dns.message.make_response(query).to_wire())
    wire[7] = 1
    at = len(wire)
    return bytes(wire) + bytes((0xC0 | at >> 8, at & 255)) + b"\0\x0c\0\1\0\0\0\0\0\2\xc0\x0c"


def _aliases(query: dns.message.Message) -> dns.message.Message:
    reply, name = dns.message.make_response(query), query.question[0].name
    reply.answer.append(dns.rrset.from_text(name, 1, "IN", "CNAME", name.to_text()))
    return reply


def _truncated(query: dns.message.Message) -> bytes:
    wire = bytearray(dns.message.make_response(query).to_wire())
    wire[2] |= 2
    return bytes(wire)


# What is over 512 bytes by UDP is ignored for the minute that all rounds take: test_resolver.py has it, with shorter ones.
def _largest(query: dns.message.Message) -> bytes:
    return dns.message.make_response(query).to_wire().ljust(65535, b"\xc0")


@pytest.mark.skipif(os.geteuid() != 0, reason="port 53 is root's")
@pytest.mark.parametrize("udp", [_loop, _aliases, _truncated])
def test_a_dns_server_that_lies_or_loops_or_floods_costs_the_name_and_no_more(udp: object) -> None:
    assert callable(udp)
    with NameServer(udp, _largest, ip=own_address(), port=53):
        env = {"DNSCACHEIP": own_address()}
        with Server(["sh", "-c", "echo [${TCPREMOTEHOST-unset}]"], ("-Rl0",), env) as server:
            assert [server.talk(), server.talk()] == [b"[unset]\n"] * 2
            assert b"internal error" not in server.log
