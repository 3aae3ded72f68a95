"""Connections a second through the SMTP chain, and memory per idle connection."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

from bench import hosts
from bench.table import Table

SECONDS = 5
PARALLEL = 10


def generator(directory: Path) -> Path:
    """Compile the load generator: a client in Python would be the slower side."""
    program = directory / "connect"
    source = Path(__file__).with_name("connect.c")
    subprocess.run(["cc", "-O2", "-Wall", "-o", str(program), str(source)], check=True)
    return program


def rate(program: Path, port: int) -> float:
    """Sessions a second: connect, greeting, QUIT, close."""
    out = subprocess.run([program, str(port), str(PARALLEL), str(SECONDS)], check=True, capture_output=True).stdout
    sessions, failures = map(int, out.split())
    if failures:
        raise RuntimeError(f"{failures} of {sessions + failures} sessions failed")
    return sessions / SECONDS


def greeting(directory: Path) -> Table:
    """tcpserver, rblsmtpd, qmail-smtpd: 220, QUIT, 221."""
    client = generator(directory)
    host = hosts.Instance(directory)
    table = Table("Connections: greeting and QUIT, 10 clients", "sessions/s")
    if os.path.exists(hosts.C_TCPSERVER):
        with host.smtpd(tcpserver=hosts.C_TCPSERVER):
            table.add("C tcpserver, our rblsmtpd and qmail-smtpd exec'd", rate(client, host.smtp_port))
    with host.smtpd():
        table.add("our tcpserver, rblsmtpd, qmail-smtpd", rate(client, host.smtp_port))
    if hosts.POSTFIX and os.geteuid() == 0:
        postfix = hosts.Postfix(directory)
        with postfix.serving(deliver=False):
            table.add("Postfix smtpd", rate(client, postfix.smtp_port))
    else:
        table.add("Postfix smtpd", None, "not installed, or not root")
    return table


def refused(directory: Path) -> Table:
    """tcpserver, rblsmtpd with a listed client: one exec for the originals."""
    client = generator(directory)
    env = {"PATH": f"{hosts.BIN}:/usr/bin:/bin", "RBLSMTPD": "listed"}
    table = Table("Connections: a listed client refused, 10 clients", "sessions/s")
    for what, tcpserver, rblsmtpd in (
        ("C tcpserver, C rblsmtpd", hosts.C_TCPSERVER, hosts.C_RBLSMTPD),
        ("our tcpserver, C rblsmtpd", str(hosts.BIN / "tcpserver"), hosts.C_RBLSMTPD),
        ("our tcpserver, our rblsmtpd", str(hosts.BIN / "tcpserver"), str(hosts.BIN / "rblsmtpd")),
    ):
        if not os.path.exists(tcpserver) or not os.path.exists(rblsmtpd):
            table.add(what, None, "not installed")
            continue
        port = hosts.free_port()
        argv = [tcpserver, "-HRl0", "-c", str(hosts.LIMIT), "127.0.0.1", str(port), rblsmtpd, "true"]
        with hosts.running(argv, env, port):
            table.add(what, rate(client, port))
    return table


def memory(directory: Path) -> Table:
    """What one more idle SMTP connection costs in private memory."""
    host = hosts.Instance(directory)
    table = Table("Memory of an idle SMTP connection", "KiB private")
    servers = [("C tcpserver, our qmail-smtpd exec'd", hosts.C_TCPSERVER), ("ours", None)]
    for what, tcpserver in servers:
        if tcpserver and not os.path.exists(tcpserver):
            table.add(what, None, "not installed")
            continue
        with host.smtpd(tcpserver=tcpserver) as server:
            private, resident = _per_connection(server.pid, host.smtp_port)
            table.add(what, private, f"{resident:,.0f} KiB resident")
    return table


def _per_connection(group: int, port: int, count: int = 20) -> tuple[float, float]:
    before = _memory(group)
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    for client in clients:
        client.recv(100)
    time.sleep(0.5)
    after = _memory(group)
    for client in clients:
        client.close()
    busy = after[2] - before[2] or 1
    return (after[0] - before[0]) / count, (after[1] - before[1]) / busy


def _memory(group: int) -> tuple[int, int, int]:
    """Private KiB, resident KiB and number of the processes of a session."""
    private = resident = processes = 0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if os.getsid(int(name)) != group:
                continue
            text = Path("/proc", name, "smaps_rollup").read_text()
        except OSError:
            continue
        fields = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
        private += fields["Private_Clean"] + fields["Private_Dirty"]
        resident += fields["Rss"]
        processes += 1
    return private, resident, processes
