"""tcpserver(1): start-up, the environment, the rules, the log, the limit.  Expected texts are the original's."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import launchers
from tests.support.server import WAYS, Server, normal, read_all

USAGE = (
    b"tcpserver: usage: tcpserver [ -1UXpPhHrRoOdDqQv ] [ -c limit ] [ -x rules.cdb ] [ -B banner ] [ -g gid ]"
    b" [ -u uid ] [ -b backlog ] [ -l localname ] [ -t timeout ] host port program\n"
)

SERVERS = ["in-process", "exec", "original"]


def serve(way: str, program: list[str], options: tuple[str, ...] = ("-HRl0",), **kwargs: object) -> Server:
    if way == "original":
        return Server(program, options, tcpserver=launchers.original("tcpserver"), **kwargs)  # type: ignore[arg-type]
    env = {**WAYS[way], **kwargs.pop("env", {})}  # type: ignore[dict-item]
    return Server(program, options, env, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("args", "code", "err"),
    [
        (["-c"], 100, b"tcpserver: option requires an argument -- c\n" + USAGE),
        (["-zv", "0", "0", "true"], 100, b"tcpserver: illegal option -- z\n" + USAGE),
        (["-q"], 100, b""),
        ([], 100, USAGE),
        (["0"], 100, USAGE),
        (["0", "0"], 100, USAGE),
        (
            ["0", "no-such-service", "true"],
            111,
            b"tcpserver: fatal: unable to figure out port number for no-such-service\n",
        ),
        (["127.1", "0", "true"], 111, b"tcpserver: fatal: no IP address for 127.1\n"),
        (["1.2.3.4", "45001", "true"], 111, b"tcpserver: fatal: unable to bind: address not available\n"),
        (["-q", "1.2.3.4", "45001", "true"], 111, b""),
    ],
)
def test_what_cannot_be_served_is_told_in_the_original_words(args: list[str], code: int, err: bytes) -> None:
    result = launchers.run(launchers.ours("tcpserver"), *args)
    assert (result.code, result.out, result.err) == (code, b"", err)


@pytest.mark.parametrize(
    "args", [["-c", "abc"], ["-c0"], ["-u", "no-such-user"], ["-g", "no-such-group"], ["-y", "x"], ["-y1"]]
)
def test_words_that_the_original_would_read_as_zero_are_usage_errors(args: list[str]) -> None:
    result = launchers.run(launchers.ours("tcpserver"), *args, "127.0.0.1", "0", "true")
    assert result.code == 100
    assert result.err.endswith(USAGE)


@pytest.mark.parametrize("way", SERVERS)
def test_a_connection_leaves_the_lines_of_the_original_in_its_order(way: str) -> None:
    with serve(way, ["sh", "-c", "echo hello; exit 3"]) as server:
        assert server.talk() == b"hello\n"
        server.wait_for(rb"status 768\ntcpserver: status: 0/40\n")
        assert normal(server.log, server.port) == (
            b"tcpserver: status: 0/40\n"
            b"tcpserver: status: 1/40\n"
            b"tcpserver: pid PID from 127.0.0.1\n"
            b"tcpserver: ok PID 0:127.0.0.1:LOCALPORT :127.0.0.1::PORT\n"
            b"tcpserver: end PID status 768\n"
            b"tcpserver: status: 0/40\n"
        )


@pytest.mark.parametrize("way", SERVERS)
def test_the_program_gets_the_variables_and_nothing_that_was_inherited_of_them(way: str) -> None:
    env = {"TCPREMOTEHOST": "old", "TCPREMOTEINFO": "old", "OTHER": "kept"}
    with serve(way, ["env"], env=env) as server, server.connect() as client:
        port = client.getsockname()[1]
        lines = set(read_all(client).splitlines()) - {b"UCSPI_EXEC=1"}
        assert {line for line in lines if not line.startswith((b"PATH=", b"PWD=", b"_=", b"SHLVL="))} == {
            b"PROTO=TCP",
            b"TCPLOCALIP=127.0.0.1",
            b"TCPLOCALPORT=%d" % server.port,
            b"TCPLOCALHOST=0",
            b"TCPREMOTEIP=127.0.0.1",
            b"TCPREMOTEPORT=%d" % port,
            b"OTHER=kept",
        }


@pytest.mark.parametrize("way", SERVERS)
def test_the_program_starts_with_default_signals_and_no_stray_descriptors(way: str) -> None:
    script = "grep -E 'Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | tr '\\n' ' '"
    with serve(way, ["sh", "-c", script]) as server:
        answer = server.talk()
    names, masks, fds = answer.split()[0:4:2], answer.split()[1:4:2], answer.split()[4:]
    assert names == [b"SigBlk:", b"SigIgn:"]
    # 32 and 33 are glibc's own, for threads; its posix_spawn leaves them ignored.
    assert [int(mask, 16) & ~(3 << 31) for mask in masks] == [0, 0]
    assert fds == [b"0", b"1", b"2", b"3"]  # 3 is the directory that ls reads


@pytest.mark.parametrize("way", SERVERS)
def test_rules_deny_or_add_variables(way: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.cdb"
    text = b'127.0.0.7:deny\n127.:allow,RELAYCLIENT="",TCPREMOTEHOST="x"\n'
    compiled = launchers.run(launchers.ours("tcprules"), str(rules), str(tmp_path / "tmp"), stdin=text)
    assert compiled.code == 0
    script = 'echo "[${RELAYCLIENT-unset}][$TCPREMOTEHOST]"'
    with serve(way, ["sh", "-c", script], ("-HRl0", "-x", str(rules))) as server:
        assert server.talk() == b"[][x]\n"
        server.wait_for(rb"status: 1/40\n(?s:.*)status: 0/40\n")
        assert server.talk(source="127.0.0.7") == b""
        server.wait_for(rb"status 25600\n")
        log = normal(server.log, server.port)
        assert b"tcpserver: ok PID 0:127.0.0.1:LOCALPORT :127.0.0.1::PORT\n" in log
        assert b"tcpserver: deny PID 0:127.0.0.1:LOCALPORT :127.0.0.7::PORT\ntcpserver: end PID status 25600\n" in log


@pytest.mark.parametrize("way", SERVERS)
def test_without_a_rules_file_nobody_is_served_unless_X_is_given(way: str, tmp_path: Path) -> None:
    with serve(way, ["echo", "hello"], ("-HRl0", "-x", f"{tmp_path}/none")) as server:
        assert server.talk() == b""
        server.wait_for(rb"end \d+ status 28416\n")
        warning = f"tcpserver: warning: dropping connection, unable to read {tmp_path}/none: file does not exist\n"
        assert warning.encode() in server.log
    with serve(way, ["echo", "hello"], ("-XHRl0", "-x", f"{tmp_path}/none")) as server:
        assert server.talk() == b"hello\n"


@pytest.mark.parametrize(
    "content", [b"", b"short", b"\xff" * 2048, os.urandom(5000)], ids=["empty", "short", "far", "random"]
)
def test_a_corrupt_rules_file_drops_the_connection_and_the_server_lives_on(tmp_path: Path, content: bytes) -> None:
    rules = tmp_path / "rules.cdb"
    rules.write_bytes(content)
    with Server(["echo", "hello"], ("-HRl0", "-x", str(rules))) as server:
        assert server.talk() == b""
        server.wait_for(rb"unable to read .*rules.cdb: protocol error\n")
        server.wait_for(rb"end \d+ status 28416\n")
        rules.unlink()
        launchers.run(launchers.ours("tcprules"), str(rules), str(tmp_path / "tmp"))
        assert server.talk() == b"hello\n"


@pytest.mark.parametrize("way", SERVERS)
def test_a_program_that_cannot_be_run_drops_the_connection(way: str) -> None:
    with serve(way, ["./nowhere"]) as server:
        assert server.talk() == b""
        server.wait_for(rb"end \d+ status 28416\n")
        warning = b"tcpserver: warning: dropping connection, unable to run ./nowhere: file does not exist\n"
        assert warning in server.log


@pytest.mark.parametrize("way", SERVERS)
def test_a_program_that_dies_of_a_signal_is_reported_with_it(way: str) -> None:
    with serve(way, ["sh", "-c", "kill -9 $$"]) as server:
        assert server.talk() == b""
        server.wait_for(rb"end \d+ status 9\n")


@pytest.mark.parametrize("way", SERVERS)
def test_the_banner_comes_before_everything_else(way: str) -> None:
    with serve(way, ["echo", "hello"], ("-HRl0", "-B", "banner ")) as server:
        assert server.talk() == b"banner hello\n"


@pytest.mark.parametrize("way", ["in-process", "exec"])
def test_at_the_limit_clients_wait_without_a_line(way: str) -> None:
    with serve(way, ["sh", "-c", "echo in; read x"], ("-HRl0", "-c2")) as server:
        clients = [server.connect() for _ in range(3)]
        assert [client.recv(10) for client in clients[:2]] == [b"in\n", b"in\n"]
        clients[2].settimeout(0.3)
        with pytest.raises(TimeoutError):
            clients[2].recv(10)
        assert server.log.count(b" from ") == 2
        clients[0].sendall(b"\n")
        clients[2].settimeout(10)
        assert clients[2].recv(10) == b"in\n"
        for client in clients:
            client.close()


def test_fifty_clients_at_a_time_are_all_served() -> None:
    with Server(["sh", "-c", "read x; echo $x"], ("-HRl0", "-c60", "-b100")) as server:
        clients = [server.connect() for _ in range(50)]
        server.wait_for(rb"status: 50/60\n")
        for number, client in enumerate(clients):
            client.sendall(b"%d\n" % number)
        assert [read_all(client) for client in clients] == [b"%d\n" % number for number in range(50)]
        for client in clients:
            client.close()


def test_a_pool_that_was_busy_shrinks_again_and_stays_in_service() -> None:
    with Server(["cat"], ("-HRl0", "-c30", "-b100")) as server:
        clients = [server.connect() for _ in range(20)]
        server.wait_for(rb"status: 20/30\n")
        for client in clients:
            client.close()
        server.wait_for(rb"(?s)status: 20/30\n.*status: 0/30\n")
        deadline = time.monotonic() + 60
        while len(_children(server.process.pid)) > 4:
            assert time.monotonic() < deadline, "idle workers stay"
            time.sleep(0.1)
        assert server.talk(b"still here") == b"still here"


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.parametrize("way", SERVERS)
def test_SIGTERM_ends_the_server_at_once_and_leaves_connections_alone(way: str) -> None:
    with serve(way, ["sh", "-c", "echo in; read x; echo out $x"]) as server, server.connect() as client:
        assert client.recv(10) == b"in\n"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        client.sendall(b"there\n")
        assert read_all(client) == b"out there\n"


def test_when_the_server_is_gone_so_are_its_idle_workers() -> None:
    with Server(["cat"]) as server:
        assert server.talk(b"x") == b"x"
        server.process.kill()
        server.process.wait()
        deadline = time.monotonic() + 10
        while True:
            try:
                with socket.create_connection(("127.0.0.1", server.port), 1) as client:
                    client.sendall(b"x")
            except ConnectionRefusedError:
                break
            except (TimeoutError, ConnectionResetError):
                pass  # in the queue of a listener that is being closed
            assert time.monotonic() < deadline, "somebody still listens"


def test_a_worker_killed_with_its_connection_is_reported_and_replaced() -> None:
    with Server(["qmail-popup", "host", "true"]) as server, server.connect() as client:
        client.recv(100)
        pid = int(server.wait_for(rb"pid (\d+) from")[1])
        os.kill(pid, signal.SIGKILL)
        server.wait_for(rb"end %d status 9\ntcpserver: status: 0/40\n" % pid)
        assert server.talk(b"QUIT\r\n").endswith(b"+OK \r\n")


def test_a_program_of_ours_that_changes_its_process_leaves_no_trace_for_the_next(tmp_path: Path) -> None:
    with Server(["softlimit", "-f", "12345", "softlimit", "-o", "50", "sh", "-c", "ulimit -n; ulimit -f"]) as server:
        first = server.talk()
        assert server.talk() == first


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may switch ids")
@pytest.mark.parametrize("options", [("-u65534", "-g1"), ("-unobody", "-gdaemon"), ("-U",)])
def test_ids_are_switched_before_any_connection(options: tuple[str, ...], tmp_path: Path) -> None:
    # A copy of the launcher would not be readable by nobody below a private directory; sh is.
    with Server(["id"], ("-HRl0", *options), {"UID": "65534", "GID": "1"}) as server:
        assert server.talk() == b"uid=65534(nobody) gid=1(daemon) groups=1(daemon)\n"


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = launchers.run(launchers.ours("tcpserver"), "127.0.0.1", str(port), "true")
    assert (result.code, result.err) == (111, b"tcpserver: fatal: unable to bind: address already used\n")


def test_descriptors_that_the_server_inherited_reach_the_program() -> None:
    held, end = os.pipe()
    argv = [launchers.ours("tcpserver"), "-1HRl0", "127.0.0.1", "0", "readlink", f"/proc/self/fd/{end}"]
    with subprocess.Popen(argv, env={"PATH": "/bin:/usr/bin"}, stdout=subprocess.PIPE, pass_fds=[end]) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            assert read_all(client) == b"pipe:[%d]\n" % os.stat(end).st_ino
        server.terminate()
    os.close(held)
    os.close(end)


@pytest.mark.parametrize("way", ["in-process", "exec"])
def test_ipv6_clients_are_served_with_the_variables_of_the_forks(way: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.cdb"
    text = b'::1:allow,RELAYCLIENT=""\n127.:allow,FOUR="yes"\n:deny\n'
    assert launchers.run(launchers.ours("tcprules"), str(rules), str(tmp_path / "tmp"), stdin=text).code == 0
    options = ("-HRl0", "-x", str(rules))
    with serve(way, ["sh", "-c", "env | grep -E '^(TCP|PROTO|RELAY|FOUR)' | sort"], options, address="::1") as server:
        lines = dict([line.split(b"=", 1) for line in server.talk().splitlines()])
        port = lines.pop(b"TCPREMOTEPORT")
        assert lines.pop(b"TCP6REMOTEPORT") == port
        assert lines == {
            b"PROTO": b"TCP6", b"TCPLOCALIP": b"::1", b"TCP6LOCALIP": b"::1", b"TCPREMOTEIP": b"::1",
            b"TCP6REMOTEIP": b"::1", b"TCPLOCALPORT": b"%d" % server.port, b"TCP6LOCALPORT": b"%d" % server.port,
            b"TCPLOCALHOST": b"0", b"TCP6LOCALHOST": b"0", b"RELAYCLIENT": b"",
        }  # fmt: skip
        assert b"pid %s from ::1\n" % server.wait_for(rb"pid (\d+) from")[1] in server.log


def test_on_all_addresses_an_ipv4_client_is_an_ipv4_client() -> None:
    with Server(["sh", "-c", "echo $PROTO $TCPREMOTEIP $TCPLOCALIP"], address="::") as server:
        server.address = "::1"
        assert server.talk() == b"TCP6 ::1 ::1\n"
        server.address = "127.0.0.1"
        assert server.talk(source="127.0.0.9") == b"TCP 127.0.0.9 127.0.0.1\n"


@pytest.mark.parametrize("way", ["in-process", "exec"])
def test_one_address_gets_no_more_than_its_share(way: str) -> None:
    with serve(way, ["sh", "-c", "echo in; read x"], ("-HRl0", "-C2")) as server:
        first, second = server.connect(), server.connect()
        assert first.recv(10) + second.recv(10) == b"in\nin\n"
        assert server.talk() == b""
        server.wait_for(rb"tcpserver: warning: dropping connection, too many connections from 127.0.0.1\n")
        with server.connect("127.0.0.5") as other:
            assert other.recv(10) == b"in\n"
        first.close()
        server.wait_for(rb"(?s)too many.*end \d+ status 256.*end \d+ status 256")
        with server.connect() as third:
            assert third.recv(10) == b"in\n"
        second.close()


def test_readiness_is_a_newline_on_the_descriptor_given() -> None:
    ready, end = os.pipe()
    argv = [launchers.ours("tcpserver"), "-HRl0", "-y", str(end), "127.0.0.1", "0", "cat"]
    with subprocess.Popen(argv, env={"PATH": "/bin:/usr/bin"}, pass_fds=[end]) as server:
        os.close(end)
        assert os.read(ready, 10) == b"\n"
        assert os.read(ready, 10) == b""  # closed, here and in every worker
        server.terminate()
    os.close(ready)


def test_a_listener_of_systemd_is_used_by_the_process_it_is_meant_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code = (
            f"import os, sys; os.dup2({listener.fileno()}, 3); env = {{'PATH': '/bin:/usr/bin'}};"
            "env |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'}; os.execve(sys.argv[1], sys.argv[1:], env)"
        )
        program = ["sh", "-c", "echo ${LISTEN_PID-gone} ${LISTEN_FDS-gone}"]
        argv = [sys.executable, "-IS", "-c", code, launchers.ours("tcpserver"), "-HRl0", "127.0.0.1", "1", *program]
        with subprocess.Popen(argv, pass_fds=[listener.fileno()]) as server:
            with socket.create_connection(("127.0.0.1", port), 20) as client:
                assert read_all(client) == b"gone gone\n"
            server.terminate()


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_was_started_without_stdin_serves_all_the_same(way: str) -> None:
    wrapper = ["sh", "-c", 'exec "$0" "$@" <&-', launchers.ours("tcpserver")]
    with Server(["echo", "hello"], env=WAYS[way], wrapper=wrapper) as server:
        assert server.talk() == b"hello\n"
