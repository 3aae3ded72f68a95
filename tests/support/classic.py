"""A classic mail host in a house of its own: the accounts of a qmail installation, people, syslogd, a name server."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from qmail.core import queuetree
from qmail.core.instance import Instance
from tests.support.house import House, Service, demand, until

SYSLOG = """\
module(load="imuxsock" SysSock.Name="/dev/log" SysSock.Use="on" SysSock.RateLimit.Interval="0")
template(name="plain" type="string" string="%syslogfacility-text%.%syslogpriority-text% %syslogtag%%msg%\\n")
*.* action(type="omfile" file="/var/log/all" template="plain")
"""


RULES = """\
192.168.1.:allow,RELAYCLIENT=""
127.:allow,RELAYCLIENT=""
"""
SMTPD = """\
#!/bin/sh
QMAILDUID=`id -u qmaild`
NOFILESGID=`id -g qmaild`
MAXSMTPD=`cat /var/qmail/control/concurrencyincoming`
LOCAL=`head -1 /var/qmail/control/me`
exec softlimit -m 20000000 tcpserver -v -R -l "$LOCAL" -x tcp.smtp.cdb -c "$MAXSMTPD" -u "$QMAILDUID" -g "$NOFILESGID" 0 25 rblsmtpd -r sbl-xbl.spamhaus.org -r rbl.aaaa.hu qmail-smtpd 2>&1 | splogger smtpd 3
"""
RC = """\
#!/bin/sh
exec env - PATH="/var/qmail/bin:$PATH" qmail-start ./Mailbox splogger qmail
"""
LISTS = {
    "sbl-xbl.spamhaus.org": ":127.0.0.2:https://www.spamhaus.org/\n198.51.100.7\n",
    "rbl.aaaa.hu": ":127.0.0.2:spammer vagy\n192.168.1.22\n",
}


CONTROL = {"me": "mail.aaaa.hu", "rcpthosts": "mail.aaaa.hu", "locals": "mail.aaaa.hu", "concurrencyincoming": "20"}
NAMES = "in-addr.arpa"  # served as well, empty: an answer, as every real resolver gives one


class ClassicHost(House):
    """As an administrator sets one up."""

    def add_classic_accounts(self) -> None:
        """The users and groups that a qmail installation has."""
        for group in ("qmail", "nofiles"):
            self.must("groupadd", "--system", group)
        for user, group, home in (
            ("alias", "nofiles", "/var/qmail/alias"),
            ("qmaild", "nofiles", "/var/qmail"),
            ("qmaill", "nofiles", "/var/qmail"),
            ("qmailp", "nofiles", "/var/qmail"),
            ("qmailq", "qmail", "/var/qmail"),
            ("qmailr", "qmail", "/var/qmail"),
            ("qmails", "qmail", "/var/qmail"),
        ):
            self.must("useradd", "--system", "--no-create-home", "--gid", group, "--home-dir", home, user)

    def add_user(self, name: str, password: str = "", method: str = "YESCRYPT") -> None:
        """A person, with a home directory."""
        self.must("useradd", "--create-home", "--shell", "/bin/sh", name)
        self.file(f"/home/{name}").chmod(0o755)
        if password:
            self.must("chpasswd", "--crypt-method", method, stdin=f"{name}:{password}\n".encode())

    def make_mail_host(self, **control: str) -> None:
        """/var/qmail: what an installation and its administrator put there."""
        home = self.file("/var/qmail")
        for name in ("control", "users", "alias"):
            (home / name).mkdir(mode=0o755)
        os.chown(home / "alias", *self.account("alias"))
        for name, value in control.items():
            self.write(f"/var/qmail/control/{name}", value + "\n")
        uids = {name: self.account(name)[0] for name in ("qmailq", "qmailr", "qmails")}
        queuetree.create(Instance(os.fsencode(home)), uids, self.account("qmailq")[1])

    def start_syslog(self) -> None:
        """A real syslogd; its file is /var/log/all, each line with facility.priority in front."""
        demand("rsyslogd", "rsyslog")
        self.write("/etc/rsyslog.conf", SYSLOG)
        self.start("rsyslogd", "-n", "-i", "NONE")
        until(self.file("/dev/log").exists, "syslogd listens")

    def start_dns(self, zones: Mapping[str, str] = LISTS) -> None:
        """A real name server for lists; `zones` are rbldnsd's ip4set files."""
        demand("rbldnsd", "rbldnsd")
        self.file("/var/rbl").mkdir()
        for zone, text in zones.items():
            self.write(f"/var/rbl/{zone}", text)
        self.write(f"/var/rbl/{NAMES}", "")
        words = [f"{NAMES}:generic:{NAMES}"] + [f"{zone}:ip4set:{zone}" for zone in zones]
        self.start("rbldnsd", "-n", "-u", "qmaild", "-w", "/var/rbl", "-b", "127.0.0.1/53", *words).wait_for("started")

    def start_smtpd(self, **substitutes: str) -> Service:
        """The article's run script for incoming mail; the lines in front of its `exec` are the usual ones."""
        text = SMTPD
        for old, new in substitutes.items():
            assert old in text
            text = text.replace(old, new)
        directory = "/var/qmail/supervise/qmail-smtpd"
        self.file(directory).mkdir(parents=True)
        self.write(f"{directory}/tcp.smtp", RULES)
        self.must("tcprules", "tcp.smtp.cdb", "tcp.smtp.tmp", stdin=RULES.encode(), cwd=directory)
        self.write(f"{directory}/run", text, 0o755)
        return self.start("./run", cwd=directory)

    def start_qmail(self, delivery: str = "./Mailbox") -> Service:
        """The article's /var/qmail/rc."""
        self.write("/var/qmail/rc", RC.replace("./Mailbox", delivery), 0o755)
        service = self.start("/var/qmail/rc")
        until(self._takes_mail, lambda: f"qmail-queued listens: {service.log}")
        return service

    def _takes_mail(self) -> bool:
        with socket.socket(socket.AF_UNIX) as caller:
            return caller.connect_ex(str(self.file("/var/qmail/run/queued"))) == 0
