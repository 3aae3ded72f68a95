"""What scanning costs: messages a second with clamd through our scanner, and its own CPU for each message."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import hosts
from bench.messages import SESSIONS
from bench.table import Table
from qmail.core import submit
from qmail.core.instance import Instance
from qmail.scanner import probing, scanning
from ucspi.core import chain
from ucspi.core.command import Call, Program

CLAMD, CLAMDSCAN = shutil.which("clamd", path="/usr/sbin:/usr/bin"), shutil.which("clamdscan")
SIZE = 20_000
MESSAGES, EACH, REPEATED = 1000, 100, 500  # by our scanner; with a process for each message; for the CPU

CONFIG = """\
Foreground yes
LocalSocket {directory}/clamd.ctl
DatabaseDirectory {directory}/signatures
LogFile {directory}/clamd.log
"""
# What an administrator writes who has clamdscan and no scanner: a queue program of five lines.
SCRIPT = """\
#!/bin/sh
file=`mktemp {directory}/message.XXXXXX` || exit 71
trap 'rm -f "$file"' EXIT
cat >"$file" || exit 53
{clamdscan} --quiet --fdpass --config-file={directory}/clamd.conf "$file" || exit 31
{queue} <"$file"
"""


@contextlib.contextmanager
def clamd(directory: Path) -> Iterator[bytes]:
    """A clamd that knows one virus; its socket."""
    (directory / "signatures").mkdir(exist_ok=True)
    (directory / "signatures/test.ndb").write_text(f"Eicar-Test-Signature:0:*:{probing.EICAR.hex()}\n")
    (directory / "clamd.conf").write_text(CONFIG.format(directory=directory))
    address = os.fsencode(directory / "clamd.ctl")
    with hosts.running([CLAMD or "clamd", "--config-file", str(directory / "clamd.conf")], dict(os.environ)):
        deadline = time.monotonic() + 30
        while probing.check("clamd", address):
            if time.monotonic() > deadline:
                raise RuntimeError("clamd does not start")
            time.sleep(0.1)
        yield address


def _inject(port: int, messages: int) -> float:
    """Messages a second, each in a connection of its own."""
    argv = [hosts.SMTP_SOURCE or "smtp-source", "-s", str(SESSIONS), "-m", str(messages), "-l", str(SIZE)]
    start = time.monotonic()
    subprocess.run(
        [*argv, "-f", "a@localhost", "-t", "demo@localhost", f"127.0.0.1:{port}"], check=True, capture_output=True
    )
    return messages / (time.monotonic() - start)


def _configure(host: hosts.Instance, directory: Path, engines: str, address: bytes) -> None:
    argv = [
        hosts.BIN / "qmail-scanner-configure",
        "--install",
        f"--spooldir={directory}/qscan",
        f"--scanners={engines}",
    ]
    more = [f"--clamd={os.fsdecode(address)}", "--log-details=no", "--notify=none"]
    subprocess.run([*argv, *more], env=host.env, check=True, capture_output=True)


def scanned(directory: Path) -> Table:
    """From the first connection to the last message queued; nothing is delivered meanwhile."""
    table = Table(f"Messages scanned by clamd: {SESSIONS} connections, {SIZE} bytes", "messages/s")
    if not CLAMD or not CLAMDSCAN or not hosts.SMTP_SOURCE:
        table.add("ours, not scanned", None, "needs clamav-daemon, clamdscan and postfix")
        return table
    host = hosts.Instance(directory)
    script = directory / "clamdscan-queue"
    script.write_text(SCRIPT.format(directory=directory, clamdscan=CLAMDSCAN, queue=hosts.BIN / "qmail-queue"))
    script.chmod(0o755)
    scanner = str(hosts.BIN / "qmail-scanner-queue")
    with clamd(directory) as address:
        for what, engines, queue, messages in (
            ("ours, not scanned", None, "", MESSAGES),
            ("our scanner, own rules alone", "", scanner, MESSAGES),
            ("our scanner and clamd", "clamdscan", scanner, MESSAGES),
            ("`clamdscan --fdpass` and our qmail-queue for each message", None, str(script), EACH),
        ):
            host.env.pop("QMAILQUEUE", None)
            if queue:
                host.env["QMAILQUEUE"] = queue
            if engines is not None:
                _configure(host, directory, engines, address)
            with host.smtpd():
                _inject(host.smtp_port, SESSIONS * 2)  # the workers have loaded what they need
                table.add(what, _inject(host.smtp_port, messages))
            host.empty()
    return table


def scanning_cpu(directory: Path) -> Table:
    """CPU of the process that scans, engines not counted, for each message; the queue alone is the first row."""
    table = Table(f"CPU of a message of {SIZE} bytes, without the engine's", "ms", smaller_is_better=True)
    if not CLAMD:
        table.add("into the queue", None, "needs clamav-daemon")
        return table
    host = hosts.Instance(directory)
    home = Instance(os.fsencode(host.home))
    call = Call(
        Program("bench", ""), [b"bench"], {b"QMAILHOME": home.home, b"TCPREMOTEIP": b"127.0.0.1"}, chain.Process()
    )
    with clamd(directory) as address:
        table.add("into the queue, not scanned", _cpu(lambda: submit.open_queue(call, home)))
        for what, engines in (("own rules alone, and into the queue", ""), ("clamd, and into the queue", "clamdscan")):
            _configure(host, directory, engines, address)
            table.add(what, _cpu(lambda: scanning.start(call, home)))
            host.empty()
    return table


def _cpu(start: Callable[[], submit.Submission]) -> float:
    line = b"0123456789 abcdefghij klmnopqrst uvwxyz ABCDEFGHIJ KLMNOPQRST\n"
    message = b"From: a@b\nSubject: x\nMessage-ID: <1@x>\nMIME-Version: 1.0\n"
    message += b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\n' + line * (SIZE // len(line)) + b"--b--\n"

    def send(count: int) -> None:
        for _ in range(count):
            mail = start()
            for at in range(0, len(message), 4096):
                mail.write(message[at : at + 4096])
            result = mail.close(b"a@b", [b"c@d"])
            if result:
                raise RuntimeError(result)

    send(20)
    began = time.process_time()
    send(REPEATED)
    return (time.process_time() - began) * 1000 / REPEATED
