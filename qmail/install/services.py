"""Service directories and systemd units: the texts.  qmail-services(8).

A service directory is what daemontools' supervise, runit's runsv and s6-supervise have in common: run, and log/run on
the other end of its output.  Each `run` ends in an exec, so that the supervisor's signals reach the program itself.
The units run the same scripts, so there is one place where each service is configured."""

from __future__ import annotations

from qmail.install.files import quoted

HEAD = """\
#!/bin/sh
# {what}
exec 2>&1
PATH={path}
export PATH
"""
RUN = {
    "qmail": (
        "The queue, and deliveries from it.  On TERM, deliveries that are under way are finished.",
        """\
DELIVERY=$(head -n 1 {home}/control/defaultdelivery 2>/dev/null) || DELIVERY=./Mailbox
exec env -{instance} PATH="$PATH" qmail-start "${{DELIVERY:-./Mailbox}}"
""",
    ),
    "smtpd": (
        "Mail in by SMTP.  Block lists: rblsmtpd -r ...; who may relay: tcp.smtp, compiled by ./rules.",
        """\
QMAILDUID=$(id -u qmaild) && NOFILESGID=$(id -g qmaild) || exit 111
LOCAL=$(head -n 1 {home}/control/me) || exit 111
MAXSMTPD=$(head -n 1 {home}/control/concurrencyincoming 2>/dev/null) || MAXSMTPD=20
# systemd starts it as qmaild, with the socket; elsewhere root opens the port and becomes qmaild.
if test "$(id -u)" = 0; then set -- -u "$QMAILDUID" -g "$NOFILESGID"; else set --; fi
exec softlimit -m 20000000 \\
  tcpserver -v -R -l "$LOCAL" -x tcp.smtp.cdb -c "$MAXSMTPD" "$@" 0 25 \\
  rblsmtpd \\
  qmail-smtpd
""",
    ),
    "pop3d": (
        "Mailboxes read by POP3.  checkpassword needs root, and becomes the user before anything of his is touched.",
        """\
LOCAL=$(head -n 1 {home}/control/me) || exit 111
# checkpassword knows hashes only, with which APOP cannot be checked.
NOAPOP=1
export NOAPOP
exec softlimit -m 20000000 \\
  tcpserver -v -R -H -l "$LOCAL" 0 110 \\
  qmail-popup "$LOCAL" \\
  checkpassword \\
  qmail-pop3d Maildir
""",
    ),
}
LOG = """\
#!/bin/sh
# The log: twenty files of a megabyte at most, in {logs}/{name}.
PATH={path}
export PATH
exec setuidgid qmaill multilog t n20 s1000000 {directory}
"""
RULES = """\
# Who may do what: tcprules(1).  After a change: ./rules
127.:allow,RELAYCLIENT=""
:allow
"""
RULES_SCRIPT = """\
#!/bin/sh
# Compile tcp.smtp; running servers see the new rules with the next connection.
PATH={path}
export PATH
cd {directory} && exec tcprules tcp.smtp.cdb tcp.smtp.tmp <tcp.smtp
"""

# What no server needs.
CONFINED = """\
NoNewPrivileges=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
"""
UNITS = {
    "qmail.service": """\
[Unit]
Description=qmail: the queue, and deliveries from it
Documentation=man:qmail(7) man:qmail-start(8)
After=network-online.target nss-lookup.target
Wants=network-online.target

[Service]
ExecStart={run[qmail]}
# qmail-send finishes its deliveries; the other parts end with it.
KillMode=mixed
TimeoutStopSec=3min
Restart=always
# Deliveries become any user and write any mailbox: little can be taken from them.
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictRealtime=yes

[Install]
WantedBy=multi-user.target
""",
    "qmail-smtpd.socket": """\
[Unit]
Description=qmail: SMTP
Documentation=man:qmail-smtpd(8) man:tcpserver(1)

[Socket]
ListenStream=0.0.0.0:25

[Install]
WantedBy=sockets.target
""",
    "qmail-smtpd.service": """\
[Unit]
Description=qmail: mail in by SMTP
Documentation=man:qmail-smtpd(8) man:tcpserver(1)
Requires=qmail-smtpd.socket
Wants=qmail.service
After=qmail.service

[Service]
ExecStart={run[smtpd]}
WorkingDirectory={services}/smtpd
User=qmaild
Group=nofiles
KillMode=mixed
Restart=always
# It reads control files and rules, and hands mail to qmail-queued's socket; only the scanner writes, to its spool.
ProtectSystem=strict
ReadWritePaths=-/var/spool/qscan
# rcptcheck's `mailbox` wants to look for .qmail files: then read-only.
ProtectHome=yes
PrivateTmp=yes
CapabilityBoundingSet=
{confined}
[Install]
WantedBy=multi-user.target
""",
    "qmail-pop3d.socket": """\
[Unit]
Description=qmail: POP3
Documentation=man:qmail-popup(8) man:tcpserver(1)

[Socket]
ListenStream=0.0.0.0:110

[Install]
WantedBy=sockets.target
""",
    "qmail-pop3d.service": """\
[Unit]
Description=qmail: mailboxes read by POP3
Documentation=man:qmail-popup(8) man:checkpassword(8) man:qmail-pop3d(8)
Requires=qmail-pop3d.socket

[Service]
ExecStart={run[pop3d]}
WorkingDirectory={services}/pop3d
KillMode=mixed
Restart=always
# checkpassword reads /etc/shadow and becomes the user: setuid and setgid are what it keeps of root.
ProtectSystem=full
PrivateTmp=yes
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_DAC_READ_SEARCH
{confined}
[Install]
WantedBy=multi-user.target
""",
}


class Texts:
    """All of them, for one installation."""

    def __init__(self, home: str, prefix: str, services: str, logs: str, *, default: bool) -> None:
        """`default`: the programs take this home for theirs without being told by QMAILHOME."""
        self.home, self.services, self.logs, self.default = home, services, logs, default
        places = (f"{home}/bin", f"{prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin")
        self.path = quoted(":".join(dict.fromkeys(places)))

    def run(self, name: str) -> str:
        """A service's run script."""
        what, text = RUN[name]
        home = quoted(self.home)
        head = HEAD.format(what=what, path=self.path)
        if not self.default:
            head += f"QMAILHOME={home}\nexport QMAILHOME\n"
        return head + text.format(home=home, instance="" if self.default else ' QMAILHOME="$QMAILHOME"')

    def log(self, name: str) -> str:
        """Its log/run script."""
        directory = quoted(f"{self.logs}/{name}")
        return LOG.format(name=name, logs=self.logs, path=self.path, directory=directory)

    def rules(self) -> str:
        """The script that compiles tcp.smtp."""
        return RULES_SCRIPT.format(path=self.path, directory=quoted(f"{self.services}/smtpd"))

    def unit(self, name: str) -> str:
        """A systemd unit."""
        services = self.services.replace("%", "%%")
        run = {name: _systemd_word(f"{services}/{name}/run") for name in RUN}
        return UNITS[name].format(services=services, run=run, confined=CONFINED)


def _systemd_word(path: str) -> str:
    """The first word of ExecStart=; systemd.syntax(7)."""
    return f'"{path}"' if " " in path else path
