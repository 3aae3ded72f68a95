"""tcp-env: a connection on descriptor 0 described in the environment."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator

import dns.reversename
import pytest

from tests.support import launchers
from tests.support.nameserver import NameServer, zone
from tests.support.network import own_address

ADDRESS, FAILING, LOCAL, REMOTE, NAMELESS = map(own_address, range(5))
RECORDS = {
    (dns.reversename.from_address(LOCAL).to_text(True), "PTR"): ["Local.Example."],
    (dns.reversename.from_address(REMOTE).to_text(True), "PTR"): ["Remote.Example."],
}
OLD = dict.fromkeys(("TCPLOCALHOST", "TCPREMOTEHOST", "TCPREMOTEINFO", "KEPT"), "old")


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    try:
        made = NameServer(zone(RECORDS), ip=ADDRESS, port=53)
    except OSError as e:
        pytest.skip(f"cannot be a name server here: {e}")
    with made:
        yield made


def accepted(local: str, remote: str) -> tuple[socket.socket, socket.socket]:
    """(the server's end, the client's end)"""
    family = socket.AF_INET6 if ":" in local else socket.AF_INET
    with socket.create_server((local, 0), family=family) as listener:
        client = socket.create_connection(listener.getsockname()[:2], source_address=(remote, 0))
        return listener.accept()[0], client


def tcp_env(connection: socket.socket | int, *options: str, **env: str) -> tuple[int, dict[str, str]]:
    """(exit code, environment of the program)"""
    environment = {"PATH": f"{launchers.directory()}:/bin:/usr/bin", "DNSCACHEIP": ADDRESS, **env}
    done = subprocess.run(
        [launchers.ours("tcp-env"), *options, "env", "-0"], stdin=connection, capture_output=True, env=environment
    )
    assert done.stderr == b""
    return done.returncode, dict(line.split("=", 1) for line in done.stdout.decode().split("\0")[:-1])


def test_both_ends_are_described(server: NameServer) -> None:
    ours, client = accepted(LOCAL, REMOTE)
    with ours, client:
        code, found = tcp_env(ours, "-R", **OLD)
    del found["PATH"], found["DNSCACHEIP"]
    assert code == 0
    assert found == {
        "KEPT": "old",
        "PROTO": "TCP",
        "TCPLOCALIP": LOCAL,
        "TCPLOCALPORT": found["TCPLOCALPORT"],
        "TCPLOCALHOST": "local.example",
        "TCPREMOTEIP": REMOTE,
        "TCPREMOTEPORT": found["TCPREMOTEPORT"],
        "TCPREMOTEHOST": "remote.example",
    }


def test_what_has_no_name_is_unset(server: NameServer) -> None:
    ours, client = accepted(NAMELESS, NAMELESS)
    with ours, client:
        ports = str(ours.getsockname()[1]), str(client.getsockname()[1])
        _, found = tcp_env(ours, "-R", **OLD)
    assert (found["TCPLOCALPORT"], found["TCPREMOTEPORT"]) == ports
    assert not {"TCPLOCALHOST", "TCPREMOTEHOST", "TCPREMOTEINFO"} & found.keys()


def test_dns_that_refuses_is_a_softdnserror() -> None:
    ours, client = accepted(NAMELESS, NAMELESS)
    with ours, client:
        try:
            failing = NameServer(zone({}, rcode=5), ip=FAILING, port=53)
        except OSError as e:
            pytest.skip(f"cannot be a name server here: {e}")
        with failing:
            _, found = tcp_env(ours, "-R", DNSCACHEIP=FAILING)
    assert (found["TCPLOCALHOST"], found["TCPREMOTEHOST"]) == ("softdnserror", "softdnserror")


def test_ident_is_asked_from_the_local_address(server: NameServer) -> None:
    try:
        listener = socket.create_server((NAMELESS, 113))
    except OSError as e:
        pytest.skip(f"cannot be an IDENT server here: {e}")
    asked: list[tuple[str, bytes]] = []

    def serve() -> None:
        connection, peer = listener.accept()
        with connection:
            asked.append((peer[0], connection.recv(100)))
            connection.sendall(b"1 , 2 : USERID : UNIX : j o\te:x" + b"y" * 2000 + b"\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    ours, client = accepted(NAMELESS, NAMELESS)
    with listener, ours, client:
        question = b"%d , %d\r\n" % (client.getsockname()[1], ours.getsockname()[1])
        _, found = tcp_env(ours, "-t5")
        thread.join()
    assert asked == [(NAMELESS, question)]
    assert found["TCPREMOTEINFO"] == "joe:x" + "y" * 993  # 998 bytes


def test_ipv6_has_its_variables(server: NameServer) -> None:
    try:
        ours, client = accepted("::1", "::1")
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with ours, client:
        _, found = tcp_env(ours, "-R")
    assert (found["PROTO"], found["TCPREMOTEIP"], found["TCP6REMOTEIP"]) == ("TCP6", "::1", "::1")


@pytest.mark.parametrize("proto", ["TCP", "TCP6"])
def test_what_a_server_has_described_stays_as_it_is(proto: str) -> None:
    code, found = tcp_env(subprocess.DEVNULL, PROTO=proto, TCPREMOTEIP="old", **OLD)
    assert (code, found["PROTO"], found["TCPREMOTEIP"], found["TCPREMOTEINFO"]) == (0, proto, "old", "old")


def test_options_that_make_no_sense_are_passed_over() -> None:
    assert tcp_env(subprocess.DEVNULL, "-rqRt", "5", "-x", "--", PROTO="TCP")[0] == 0


@pytest.mark.parametrize("words", [[], ["-R"], ["-t"], ["-R", "env"], ["-R", "/absent"]])
def test_everything_else_exits_111_in_silence(words: list[str]) -> None:
    done = launchers.run(launchers.ours("tcp-env"), *words)  # descriptor 0 is a pipe
    assert done == launchers.Result(111, b"", b"")


@contextlib.contextmanager
def no_connection(kind: str) -> Iterator[socket.socket | int]:
    with contextlib.ExitStack() as stack:
        made: socket.socket | int = subprocess.DEVNULL
        if kind == "listening":
            made = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        elif kind in ("not connected", "udp"):
            made = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM))
        elif kind == "reset":
            made, client = map(stack.enter_context, accepted("127.0.0.1", "127.0.0.1"))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        elif kind == "unix":
            made, _ = map(stack.enter_context, socket.socketpair())
        yield made


@pytest.mark.parametrize("proto", [None, "", "UDP", "tcp"])
@pytest.mark.parametrize("kind", ["null", "listening", "not connected", "udp", "reset", "unix"])
def test_without_a_connection_there_is_nothing_to_describe(kind: str, proto: str | None) -> None:
    """As notqmail's, seen side by side; but for unix, where it takes the bytes of a path for an address."""
    with no_connection(kind) as connection:
        assert tcp_env(connection, "-R", **({} if proto is None else {"PROTO": proto}), **OLD) == (111, {})


def test_a_descriptor_0_that_is_closed_is_no_connection_either() -> None:
    done = subprocess.run(["sh", "-c", '"$0" -R env <&-', launchers.ours("tcp-env")], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (111, b"", b"")


def test_a_program_that_is_not_there_is_111_too() -> None:
    assert launchers.run(launchers.ours("tcp-env"), "/absent", env={"PROTO": "TCP"}).code == 111
