"""An instance's service directories: under qmail-serve, and unchanged under daemontools."""

from __future__ import annotations

import os
import poplib
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.host import Host, free_ports, host, until

__all__ = ["host"]

MESSAGE = b"From: anna@client.example\nSubject: proba\n\negy\n"
SERVICES = ("pop3d", "qmail", "smtpd")


def running(home: Path) -> list[str]:
    """The command lines of all processes that belong to an instance: by environment, argument or directory."""
    mark = os.fsencode(home)
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            words = (directory / "cmdline").read_bytes()
            about = words + (directory / "environ").read_bytes() + os.fsencode(os.readlink(directory / "cwd"))
        except OSError:
            continue  # gone, a zombie, or somebody else's
        if mark in about:
            found.append(words.replace(b"\0", b" ").decode(errors="replace"))
    return found


def content(directory: Path) -> dict[str, bytes]:
    """Every plain file below a directory."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def read_mail(host: Host) -> list[bytes]:
    """The mailbox, by POP3; behind each message qmail-pop3d sends an empty line."""
    client = poplib.POP3("127.0.0.1", host.pop3, timeout=20)
    client.user(host.user)
    client.pass_(host.password)
    messages = [b"\n".join(client.retr(number + 1)[1]) for number in range(client.stat()[0])]
    client.quit()
    return messages


def back_date(host: Host) -> None:
    """Make all mail old enough for qmail-pop3d, which leaves out what came in the current second."""
    for file in (host.maildir / "new").iterdir():
        os.utime(file, (1, 1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_qmail_serve_leaves_nothing_running_and_finds_everything_again(host: Host, number: signal.Signals) -> None:
    host.control("smtproutes", f":127.0.0.1:{free_ports(1)[0]}\n")  # where nobody listens: it stays in the queue
    with host:
        host.send("anna@client.example", [host.address], MESSAGE)
        host.mail(1)
        host.send("anna@client.example", ["bela@elsewhere.example"], MESSAGE)
        host.wait_for(rb"delivery \d+: deferral: ")
        assert len(running(host.home)) > 5
        assert host.process is not None
        host.process.send_signal(number)
        assert host.process.wait(20) == 0
        assert running(host.home) == []
    back_date(host)
    mail, queue = content(host.maildir), content(host.home / "queue")
    assert {name.partition("/")[0] for name in queue} == {"mess", "info", "remote", "lock"}
    password = host.password
    host.make()
    with host:
        assert (host.home / "password").read_text().split() == [host.user, password]
        assert content(host.maildir) == mail
        assert content(host.home / "queue") == queue
        (message,) = read_mail(host)
        assert message.endswith(MESSAGE)
        host.send("anna@client.example", [host.address], MESSAGE)
        until(lambda: len(content(host.maildir)) == 2, 20, lambda: repr(host.log))
    assert running(host.home) == []


def test_clients_that_stay_connected_do_not_keep_it_from_stopping(host: Host) -> None:
    with host:
        with socket.create_connection(("127.0.0.1", host.smtp), 20) as smtp:
            smtp.sendall(b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<%b>\r\nDATA\r\n" % host.address.encode())
            heard = b""
            while b"354" not in heard:
                heard += smtp.recv(512)
            smtp.sendall(b"half a message\r\n")
            with socket.create_connection(("127.0.0.1", host.pop3), 20) as pop3:
                assert pop3.recv(512).startswith(b"+OK")
                assert host.process is not None
                host.process.terminate()
                assert host.process.wait(20) == 0
        assert running(host.home) == []
    # Half a message is none.  Its file may stay, as after any kill: qmail-send removes such when they are old.
    assert {name.partition("/")[0] for name in host.queued()} <= {"mess", "pid"}


@contextmanager
def svscan(host: Host) -> Iterator[Path]:
    """daemontools' svscan on the instance's service directory."""
    for program in ("svscan", "supervise", "svc", "svstat"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program} (Debian package daemontools)")
    service = host.home / "service"
    scan = subprocess.Popen(
        ["svscan", str(service)], stdin=subprocess.DEVNULL, stdout=host.log_file, stderr=host.log_file
    )
    try:
        yield service
    finally:
        scan.terminate()
        scan.wait(20)
        subprocess.run(["svc", "-dx", *(service / name for name in SERVICES)], check=True)
        until(lambda: not running(host.home), 20, lambda: repr((running(host.home), host.log)))


def pid_of(service: Path) -> int:
    """What svstat says; 0: down."""
    said = subprocess.run(["svstat", service], capture_output=True, text=True).stdout
    found = re.search(r": up \(pid (\d+)\)", said)
    return int(found[1]) if found else 0


def answers(port: int, greeting: bytes) -> bool:
    """Whether somebody on a port greets us so."""
    try:
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            return client.recv(512).startswith(greeting)
    except OSError:
        return False


def test_the_same_service_directories_run_under_daemontools(host: Host) -> None:
    with svscan(host) as service:
        until(lambda: answers(host.smtp, b"220 localhost"), 20, lambda: repr(host.log))
        until(lambda: answers(host.pop3, b"+OK"), 20, lambda: repr(host.log))
        until((host.home / "run/queued").exists, 20, lambda: repr(host.log))
        host.send("anna@client.example", [host.address], MESSAGE)
        host.mail(1)
        back_date(host)
        assert read_mail(host)[0].endswith(MESSAGE)
        before = {name: pid_of(service / name) for name in SERVICES}
        assert all(before.values())
        subprocess.run(["svc", "-t", *(service / name for name in SERVICES)], check=True)
        for name in SERVICES:
            until(lambda name=name: pid_of(service / name) not in (0, before[name]), 20, lambda: repr(host.log))
        until(lambda: answers(host.smtp, b"220 localhost"), 20, lambda: repr(host.log))
        host.send("anna@client.example", [host.address], MESSAGE)
        host.mail(1)  # the first is in cur by now
    for name in SERVICES:
        assert pid_of(service / name) == 0
