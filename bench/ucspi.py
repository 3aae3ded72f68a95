"""The programs of ucspi-tcp and of run scripts, next to the originals."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import connections, hosts
from bench.table import Table

RULES = 1_000_000
LINES = 1_000_000
STREAM = 100_000_000  # bytes
RUNS = 3  # of each; the fastest counts, as whatever else the machine does can only slow one down
LISTS = 5
DELAY = 0.05  # seconds until the DNS server answers
DNS = "127.53.0.50"
SIDES = ("C", "ours")


def _file(side: str, name: str) -> str:
    return f"/usr/bin/{name}" if side == "C" else str(hosts.BIN / name)


def _compare(table: Table, what: str, seconds: dict[str, list[float]], size: float = 0) -> None:
    """Both rows: the least time, or (with a size) the best throughput."""
    for side in SIDES:
        best = min(seconds[side], default=0.0)
        figure = (size / best if size else best) if best else None
        table.add(f"{side} {what}", figure, "" if best else "not installed", base=side == SIDES[0])


def _seconds(argv: Sequence[str], stdin: Path, directory: Path) -> float:
    with stdin.open("rb") as source, open(os.devnull, "wb") as null:
        start = time.perf_counter()
        subprocess.run(argv, stdin=source, stdout=null, stderr=null, cwd=directory, check=True)
        return time.perf_counter() - start


def _race(name: str, args: Sequence[str], stdin: Path, directory: Path) -> dict[str, list[float]]:
    """Seconds of a few runs by turns, each in a directory of its own."""
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(RUNS):
        for side in SIDES:
            if not os.path.exists(_file(side, name)):
                continue
            with contextlib.ExitStack() as stack:
                here = directory / f"{side}{number}"
                here.mkdir()
                stack.callback(lambda here=here: subprocess.run(["rm", "-rf", here], check=True))
                seconds[side].append(_seconds([_file(side, name), *args], stdin, here))
    return seconds


# --- rules


def rules_text(count: int = RULES) -> bytes:
    """Rules as administrators have them: addresses and networks, and few different instructions."""
    kinds = (b"deny", b'allow,RELAYCLIENT=""', b"allow", b'allow,RBLSMTPD="-blocked",QMAILQUEUE="/var/qmail/bin/scan"')
    lines = [b"%d.%d.%d.%d:%b" % (i >> 16 & 127, i >> 8 & 255, i & 255, i % 251, kinds[i % 4]) for i in range(count)]
    return b"\n".join([*lines, b'127.:allow,RBLSMTPD="listed"', b":allow", b""])


def compiling(directory: Path) -> Table:
    """tcprules on a million rules."""
    text = directory / "rules"
    text.write_bytes(rules_text())
    table = Table(f"tcprules, {RULES:,} rules", "seconds", smaller_is_better=True)
    _compare(table, "tcprules", _race("tcprules", ["cdb", "tmp"], text, directory))
    return table


def ruled(directory: Path) -> Table:
    """A connection whose environment a rule among a million sets: tcpserver -x, and rblsmtpd refuses."""
    client = connections.generator(directory)
    table = Table(f"Connections ruled by one of {RULES:,} rules, 10 clients", "sessions/s")
    cdb = directory / "cdb"
    subprocess.run([_file("ours", "tcprules"), cdb, directory / "tmp"], input=rules_text(), check=True)
    for side in SIDES:
        program = [_file(side, "tcpserver"), "-HRl0", "-c", str(hosts.LIMIT), "-x", str(cdb), "127.0.0.1"]
        if not os.path.exists(program[0]):
            table.add(f"{side} tcpserver, rblsmtpd", None, "not installed")
            continue
        port = hosts.free_port()
        argv = [*program, str(port), _file(side, "rblsmtpd"), "true"]
        with hosts.running(argv, {"PATH": f"{hosts.BIN}:/usr/bin:/bin"}, port):
            table.add(f"{side} tcpserver, rblsmtpd", connections.rate(client, port))
    return table


# --- lists


@contextlib.contextmanager
def _slow_dns() -> Iterator[None]:
    """A DNS server that has never heard of the name, and says so DELAY seconds later."""
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind((DNS, 53))

        def serve() -> None:
            while len(query := server.recvfrom(512)) and query[0]:
                data, peer = query
                reply = data[:2] + b"\x81\x83" + data[4:]
                threading.Timer(DELAY, server.sendto, (reply, peer)).start()

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        server.sendto(b"", (DNS, 53))
        thread.join()


def _first_byte(port: int) -> float:
    start = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.recv(100)
        return time.perf_counter() - start


def lists(directory: Path) -> Table:
    """From the connection to the greeting behind rblsmtpd, when no list has the client."""
    table = Table(f"rblsmtpd with {LISTS} lists, DNS answers after {DELAY * 1000:.0f} ms", "ms", smaller_is_better=True)
    if os.geteuid() != 0:
        table.add("rblsmtpd", None, "port 53 is root's")
        return table
    options = [word for i in range(LISTS) for word in ("-r", f"list{i}.example")]
    env = {"PATH": f"{hosts.BIN}:/usr/bin:/bin", "DNSCACHEIP": DNS}
    with _slow_dns():
        for server, side in (("C", "C"), ("ours", "ours"), ("C", "ours")):
            argv = [_file(server, "tcpserver"), "-HRl0", "127.0.0.1"]
            what = f"{server} tcpserver, {side} rblsmtpd"
            if not os.path.exists(argv[0]):
                table.add(what, None, "not installed")
                continue
            port = hosts.free_port()
            with hosts.running([*argv, str(port), _file(side, "rblsmtpd"), *options, "echo", "220"], env, port):
                table.add(what, sorted(_first_byte(port) for _ in range(15))[7] * 1000)
    return table


# --- streams


def streams(directory: Path) -> Table:
    """100 MB of lines through each filter."""
    table = Table(f"Streams of {STREAM // 1_000_000} MB, lines of 50 bytes", "MB/s")
    plain, crlf = directory / "plain", directory / "crlf"
    line = b"%048d" % 1
    plain.write_bytes((line + b"x\n") * (STREAM // 50))
    crlf.write_bytes((line + b"\r\n") * (STREAM // 50))
    for name, args, stdin in (
        ("addcr", [], plain),
        ("delcr", [], crlf),
        ("fixcrio", ["cat"], plain),
        ("recordio", ["cat"], plain),
    ):
        _compare(table, name, _race(name, args, stdin, directory), STREAM / 1e6)
    return table


# --- logs

SCRIPTS = (
    ["./log"],
    ["t", "./log"],
    ["-*", "+* status: *", "+* fatal: *", "./log"],
    ["t", "-* pid *", "-* end *", "s1000000", "./log", "-*", "+* warning: *", "=status"],
)


def logs(directory: Path) -> Table:
    """What tcpserver -v would say, through multilog."""
    kinds = (b"tcpserver: status: %d/40\n", b"tcpserver: pid %d from 192.0.2.7\n", b"tcpserver: end %d status 0\n",
             b"tcpserver: ok %d mx.example.org:192.0.2.1:25 client.example.net:192.0.2.7::41234\n")  # fmt: skip
    text = directory / "lines"
    text.write_bytes(b"".join([kinds[i % 4] % (i % 40000) for i in range(LINES)]))
    table = Table(f"multilog, {LINES:,} lines", "lines/s")
    for script in SCRIPTS:
        _compare(table, f"multilog {' '.join(script)}", _race("multilog", script, text, directory), LINES)
    return table
