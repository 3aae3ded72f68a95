"""An installed machine used as one is: the article's scripts and addresses, cron, mail(1), mutt, POP3 with real passwords."""

from __future__ import annotations

import poplib
import re
import smtplib
import socket
import stat
from collections.abc import Iterator

import pytest

from tests.support.house import demand, until
from tests.support.installed import HOME, InstalledHost

pytestmark = [pytest.mark.xdist_group("whole machine"), pytest.mark.timeout(300)]

NAME = "mail.aaaa.hu"
METHODS = {"anna": "YESCRYPT", "bela": "SHA512"}
# people of the machine, and what the article's Listing 1 puts into ~alias
ALIASES = {"postmaster": "&bela\n", "mailer-daemon": "&bela\n", "root": "&bela\n"}


@pytest.fixture(scope="module")
def machine() -> Iterator[InstalledHost]:
    """Everything of the article, started: Mailbox for all, a Maildir for anna."""
    with InstalledHost() as made:
        made.set_up()
        made.must("qmail-config-fast", NAME)
        made.control(concurrencyincoming="20")
        for user, method in METHODS.items():
            made.add_user(user, f"titok {user}", method)
        made.must("setuidgid", "anna", "maildirmake", "/home/anna/Maildir")
        made.must("sh", "-c", "echo ./Maildir/ >/home/anna/.qmail && chown anna: /home/anna/.qmail")
        for name, text in ALIASES.items():
            made.write(f"{HOME}/alias/.qmail-{name}", text)
        made.must("ln", "-s", f"{HOME}/bin/sendmail", "/usr/sbin/sendmail")
        made.start_syslog()
        made.start_dns()
        made.start_qmail()
        made.start_smtpd()
        made.connect(25).close()
        yield made


def mailbox(host: InstalledHost, pattern: str) -> str:
    return host.wait_for("/home/bela/Mailbox", pattern, 30)


def new(host: InstalledHost, pattern: str) -> str:
    """The message in anna's Maildir that has something."""

    def look() -> str | None:
        texts = (path.read_text() for path in host.file("/home/anna/Maildir/new").iterdir())
        return next((text for text in texts if re.search(pattern, text, re.M)), None)

    return until(look, pattern, 30)


def smtp(host: InstalledHost, recipient: str, subject: str) -> None:
    client = smtplib.SMTP()
    client.sock = host.connect(25)
    client.file = None
    client.getreply()
    client.sendmail("sj@aaaa.hu", [recipient], f"Subject: {subject}\r\n\r\negy\r\n")
    client.quit()


def test_the_programs_show_in_ps_under_their_names_and_users(machine: InstalledHost) -> None:
    shown = machine.must("ps", "-eo", "user:20,args").decode()
    for user, words in (
        ("qmails", "qmail-send"),
        ("qmaill", "splogger qmail"),
        ("root", "qmail-lspawn ./Mailbox"),
        ("qmailr", "qmail-rspawn"),
        ("qmailq", "qmail-clean"),
        ("qmailq", "qmail-queued"),
    ):
        assert re.search(rf"^{user} +{re.escape(words)}$", shown, re.M), (user, words, shown)
    assert re.search(rf"^qmaild +tcpserver -v -R -l {re.escape(NAME)} -x tcp.smtp.cdb ", shown, re.M), shown


def test_two_accounts_get_mail_each_in_its_own_form(machine: InstalledHost) -> None:
    smtp(machine, f"bela@{NAME}", "for bela")
    smtp(machine, f"anna@{NAME}", "for anna")
    assert mailbox(machine, r"^Subject: for bela$").startswith("From sj@aaaa.hu ")
    assert "\nDelivered-To: anna@mail.aaaa.hu\n" in new(machine, "^Subject: for anna$")
    for path, user in (("/home/bela/Mailbox", "bela"), ("/home/anna/Maildir/new", "anna")):
        for file in [machine.file(path)] if path.endswith("x") else machine.file(path).iterdir():
            about = file.stat()
            assert (about.st_uid, about.st_gid) == machine.account(user)
            assert stat.S_IMODE(about.st_mode) == 0o600


@pytest.mark.parametrize("name", ALIASES)
def test_mail_for_the_machines_roles_goes_where_alias_says(machine: InstalledHost, name: str) -> None:
    smtp(machine, f"{name}@{NAME}", f"for {name}")
    assert f"\nDelivered-To: bela@{NAME}\n" in mailbox(machine, rf"^Subject: for {name}$")


def test_mail_and_mutt_send_through_the_link(machine: InstalledHost) -> None:
    assert machine.file("/usr/sbin/sendmail").readlink().as_posix() == f"{HOME}/bin/sendmail"
    demand("bsd-mailx", "bsd-mailx")
    env = {"HOME": "/home/anna", "USER": "anna", "LOGNAME": "anna"}
    machine.must("setuidgid", "anna", "bsd-mailx", "-s", "by mail(1)", "bela", stdin=b"egy\n.ketto\n", env=env)
    assert "\nFrom: " in mailbox(machine, r"^Subject: by mail\(1\)$")
    demand("mutt", "mutt")
    machine.must("setuidgid", "anna", "mutt", "-n", "-s", "by mutt", f"bela@{NAME}", stdin=b"egy\n", env=env)
    text = mailbox(machine, r"^Subject: by mutt$")
    uid = machine.account("anna")[0]
    assert len(re.findall(rf"^Received: \(qmail \d+ invoked by uid {uid}\); ", text, re.M)) == 2
    assert len(re.findall(r"^From anna@mail\.aaaa\.hu ", text, re.M)) == 2


def test_cron_sends_what_its_jobs_print(machine: InstalledHost) -> None:
    demand("cron", "cron")
    machine.write("/etc/cron.d/proba", "MAILTO=bela\n@reboot anna echo printed by a job\n")
    machine.must("mkdir", "-p", "/var/spool/cron/crontabs")
    cron = machine.start("cron", "-f")
    try:
        text = mailbox(machine, r"^printed by a job$")
    finally:
        cron.stop()
    assert re.search(r"^From: .*Cron Daemon", text, re.M)
    assert re.search(r"^Subject: Cron <anna@\S+> echo printed by a job$", text, re.M)


class Pop3(poplib.POP3):
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        super().__init__("the machine")

    def _create_socket(self, timeout: float) -> socket.socket:
        return self._connection


def test_pop3_takes_shadow_passwords_and_refuses_root_and_locked_accounts(machine: InstalledHost) -> None:
    shadow = machine.file("/etc/shadow").read_text()
    assert re.search(r"^anna:\$y\$", shadow, re.M) and re.search(r"^bela:\$6\$", shadow, re.M)
    for user in ("locked", "empty", "other"):
        machine.add_user(user, "titok")
    machine.must("passwd", "-l", "locked")
    machine.must("passwd", "-d", "empty")
    machine.must("chpasswd", stdin=b"root:titok root\n")
    machine.must("qmail-services", "/var/qmail/supervise")
    machine.start("/var/qmail/supervise/pop3d/run")
    smtp(machine, f"anna@{NAME}", "to be read")
    new(machine, r"^Subject: to be read$")

    def log_in(user: str, password: str) -> Pop3:
        client = Pop3(machine.connect(110))
        client.user(user)
        client.pass_(password)
        return client

    def read() -> bool:
        client = log_in("anna", "titok anna")
        texts = [b"\n".join(client.retr(number + 1)[1]) for number in range(client.stat()[0])]
        client.quit()
        return any(b"Subject: to be read" in text for text in texts)

    until(read, "qmail-pop3d shows what did not come in this very second")
    refused = [("root", "titok root"), ("locked", "titok"), ("empty", ""), ("empty", "x"), ("anna", "titok bela")]
    for user, password in [*refused, ("qmailq", "*"), ("nobody-here", "x")]:
        with pytest.raises(poplib.error_proto, match=r"-ERR (authorization failed|syntax error)"):
            log_in(user, password)


def test_it_is_all_taken_away_and_the_mail_stays(machine: InstalledHost) -> None:
    gone = machine.make("unsetup")
    assert gone.code == 0, gone
    assert sorted(machine.trace().keys() & {f"{HOME}/bin", f"{HOME}/boot"}) == []
    assert [name for name in machine.trace() if name.startswith("/usr/local")] == ["/usr/local/."]
    assert machine.file("/home/bela/Mailbox").exists() and machine.file(f"{HOME}/alias/.qmail-root").exists()
