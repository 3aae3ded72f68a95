"""The services that qmail-services writes, on an installed machine, under three supervisors and as rc.qmail runs them."""

from __future__ import annotations

import re
import smtplib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.house import demand, until
from tests.support.installed import InstalledHost
from tests.support.supervisors import ALL, SERVICES, Supervisor

pytestmark = [pytest.mark.xdist_group("supervisors"), pytest.mark.timeout(300)]

NAME = "mail.aaaa.hu"


@pytest.fixture(scope="module")
def machine() -> Iterator[InstalledHost]:
    """Installed, configured, with two people: bela has a Maildir, anna has none and gets a Mailbox."""
    with InstalledHost() as made:
        made.set_up()
        made.must("qmail-config-fast", NAME)
        made.control(concurrencyincoming="20")
        made.add_user("bela", "titok")
        made.add_user("anna")
        made.must("setuidgid", "bela", "maildirmake", "/home/bela/Maildir")
        made.must("sh", "-c", "echo ./Maildir/ >/home/bela/.qmail; chown bela: /home/bela/.qmail")
        made.start_dns()
        yield made


@pytest.fixture(params=ALL)
def supervisor(machine: InstalledHost, request: pytest.FixtureRequest) -> Iterator[Supervisor]:
    """All three services, up."""
    directory = f"/var/{request.param}"
    machine.must("qmail-services", "-l", f"/var/log/{request.param}", directory)
    made = ALL[request.param](machine, directory)
    try:
        machine.connect(25).close()
        machine.connect(110).close()
        yield made
    finally:
        made.stop()
        until(made.gone, lambda: f"nothing is left: {machine.processes()} {made.service.log}", 30)


def send(host: InstalledHost, recipient: str, text: str) -> None:
    """Hand in a message by SMTP.  Raises OSError, SMTPException."""
    client = smtplib.SMTP()
    client.sock = host.connect(25)
    client.file = None
    try:
        if client.getreply()[0] != 220:
            raise OSError("no greeting")
        client.helo("client.example")
        client.sendmail("anna@client.example", [recipient], f"Subject: {text}\r\n\r\n{text}\r\n")
        client.quit()
    finally:
        client.close()


def subjects(host: InstalledHost) -> set[str]:
    found = [path.read_text() for part in ("new", "cur") for path in host.file(f"/home/bela/Maildir/{part}").iterdir()]
    return {match[1] for text in found if (match := re.search(r"^Subject: (.*)$", text, re.M))}


def load(host: InstalledHost, name: str, accepted: list[str], stop: threading.Event) -> None:
    """Send until told to stop, each message on a connection of its own; what is refused is sent again."""
    for number in range(1000):
        text = f"{name}-{number}"
        while not stop.is_set():
            try:
                send(host, f"bela@{NAME}", text)
            except (OSError, smtplib.SMTPException):
                continue
            accepted.append(text)
            break


def test_services_go_up_and_down_and_up_again(supervisor: Supervisor) -> None:
    host = supervisor.host
    for service in SERVICES:
        until(lambda service=service: supervisor.pid(service), lambda: supervisor.service.log)
    supervisor.tell("down", *SERVICES)
    for service in SERVICES:
        until(lambda service=service: not supervisor.pid(service), lambda service=service: f"{service} stays up")
    running = host.processes().keys()
    assert not {"tcpserver", "qmail-send", "qmail-lspawn", "qmail-queued"} & running
    assert "multilog" in running  # the logs stay, and lose nothing
    supervisor.tell("up", *SERVICES)
    for service in SERVICES:
        until(lambda service=service: supervisor.pid(service), lambda service=service: f"{service} stays down")
    text = f"up-{type(supervisor).__name__}"
    until(lambda: sent(host, text), "mail is taken")
    until(lambda: text in subjects(host), lambda: f"it arrives: {logs(supervisor)}", 30)
    uids = {name: host.account(name)[0] for name in ("qmaild", "qmaill", "qmailq", "qmailr", "qmails")}
    found = host.processes()
    assert found["qmail-send"] == {uids["qmails"]}
    assert found["qmail-clean"] == found["qmail-queued"] == {uids["qmailq"]}
    assert found["qmail-rspawn"] == {uids["qmailr"]}
    assert found["multilog"] == {uids["qmaill"]}
    assert uids["qmaild"] in found["tcpserver"]
    assert found["qmail-lspawn"] <= {0, host.account("bela")[0]}


def sent(host: InstalledHost, text: str) -> bool:
    try:
        send(host, f"bela@{NAME}", text)
    except (OSError, smtplib.SMTPException):
        return False
    return True


def logs(supervisor: Supervisor) -> str:
    directory = supervisor.host.file(f"/var/log/{Path(supervisor.directory).name}")
    return "".join(f"{file}: {file.read_text()[-2000:]}" for file in directory.glob("*/current"))


def test_a_log_is_rotated_and_goes_on(supervisor: Supervisor) -> None:
    directory = supervisor.host.file(f"/var/log/{Path(supervisor.directory).name}/smtpd")
    until(lambda: re.search(r"^@[0-9a-f]{24} tcpserver: ok \d+", (directory / "current").read_text(), re.M), "a log")
    before = {file.name for file in directory.glob("@*.s")}
    supervisor.tell("rotate", "smtpd/log")
    until(lambda: {file.name for file in directory.glob("@*.s")} - before, "a finished file")
    send(supervisor.host, f"bela@{NAME}", "rotated")
    until(lambda: "tcpserver: ok" in (directory / "current").read_text(), "the log goes on")
    assert directory.stat().st_uid == supervisor.host.account("qmaill")[0]


def test_restarts_under_load_lose_no_mail_that_was_accepted(supervisor: Supervisor) -> None:
    host, accepted, stop = supervisor.host, [], threading.Event()
    tag = type(supervisor).__name__
    clients = [threading.Thread(target=load, args=(host, f"{tag}-{number}", accepted, stop)) for number in range(4)]
    for client in clients:
        client.start()
    try:
        for service in ("smtpd", "qmail") * 3:
            done, pid = len(accepted), until(lambda service=service: supervisor.pid(service), lambda: logs(supervisor))
            supervisor.tell("restart", service)
            new = until(
                lambda service=service, pid=pid: supervisor.pid(service) not in (0, pid), lambda: logs(supervisor), 60
            )
            assert new
            until(lambda done=done: len(accepted) >= done + 5, lambda: logs(supervisor), 60)
    finally:
        stop.set()
        for client in clients:
            client.join(120)
    assert len(accepted) >= 30
    until(lambda: subjects(host) >= set(accepted), lambda: f"{set(accepted) - subjects(host)} {logs(supervisor)}", 60)
    until(lambda: b"messages in queue: 0\n" in host.must("qmail-qstat"), lambda: logs(supervisor), 30)


def test_rc_qmail_starts_and_stops_the_same_services_without_a_supervisor(machine: InstalledHost) -> None:
    machine.must("qmail-services", "/var/qmail/supervise")
    machine.start_syslog()
    script = "/var/qmail/boot/rc.qmail"
    assert machine.run(script).code == 100
    started = machine.must(script, "start").decode()
    assert started == "qmail started\nsmtpd started\npop3d started\n"
    machine.connect(25).close()
    machine.connect(110).close()
    shown = machine.must(script, "stat").decode()
    assert re.search(r"^qmail: up \(pid \d+\)\nsmtpd: up \(pid \d+\)\npop3d: up \(pid \d+\)\n", shown)
    assert machine.must(script, "start").decode() == "qmail is running\nsmtpd is running\npop3d is running\n"
    send(machine, f"anna@{NAME}", "by rc.qmail")
    machine.wait_for("/home/anna/Mailbox", r"^Subject: by rc.qmail$")
    for command in ("reload", "doqueue"):
        machine.must(script, command)
    machine.must(script, "stop")
    assert not {"qmail-send", "tcpserver", "qmail-queued"} & machine.processes().keys()
    assert "qmail: down\nsmtpd: down\npop3d: down\n" in machine.must(script, "stat").decode()
    machine.wait_for("/var/log/all", r"mail\.\S+ smtpd: .*tcpserver: ok ")


def test_the_scripts_take_a_socket_as_systemd_hands_it_over(machine: InstalledHost) -> None:
    demand("systemd-socket-activate", "systemd")
    machine.must("qmail-services", "/var/qmail/supervise")
    here = "/var/qmail/supervise/smtpd"
    # As the unit has it: root opens the port, and qmaild gets it.
    words = ["systemd-socket-activate", "-l", "25", "setuidgid", "qmaild", f"{here}/run"]
    service = machine.start(*words, cwd=here)
    try:
        with machine.connect(25) as client:
            assert client.recv(512).startswith(b"220 mail.aaaa.hu ESMTP")
        uids = machine.processes()
        assert uids["tcpserver"] == {machine.account("qmaild")[0]}
    finally:
        service.stop()
