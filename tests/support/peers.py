"""Other people's mail hosts in a house of ours: Postfix, and OpenSMTPD and Exim, which Debian cannot install beside it.

The two are unpacked, not installed: .ci/run puts their files below .peers/.  Each peer is peer.example at ADDRESS, has
the house's people as its users, and sends everything for mail.aaaa.hu to OURS."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.classic import ClassicHost
from tests.support.house import Service, demand
from tests.support.launchers import ROOT

OURS, ADDRESS = "192.168.1.1", "192.168.1.22"
UNPACKED = ROOT / ".peers"

POSTFIX = f"""\
compatibility_level = 3.6
queue_directory = /var/spool/postfix
data_directory = /var/lib/postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = peer.example
mydestination = peer.example
mynetworks = 192.168.1.0/24
inet_interfaces = {ADDRESS}
inet_protocols = ipv4
smtp_bind_address = {ADDRESS}
smtpd_peername_lookup = no
maillog_file = /var/log/postfix.log
maillog_file_prefixes = /var
alias_maps =
alias_database =
home_mailbox = Maildir/
transport_maps = inline:{{ mail.aaaa.hu=smtp:[{OURS}] }}
"""

EXIM = f"""\
exim_path = /var/peers/exim4
primary_hostname = peer.example
domainlist local_domains = peer.example
local_interfaces = {ADDRESS}
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
acl_smtp_rcpt = rcpt
keep_environment =
tls_advertise_hosts =

begin acl
rcpt:
  require verify = recipient
  accept domains = +local_domains
  accept hosts = 192.168.1.0/24
  deny

begin routers
ours:
  driver = manualroute
  domains = mail.aaaa.hu
  route_list = * {OURS}
  transport = smtp
people:
  driver = accept
  domains = +local_domains
  check_local_user
  transport = maildir

begin transports
smtp:
  driver = smtp
  interface = {ADDRESS}
maildir:
  driver = appendfile
  maildir_format
  directory = /home/$local_part_data/Maildir
  return_path_add

begin retry
* * F,2h,15s
"""

OPENSMTPD = f"""\
listen on {ADDRESS} hostname peer.example
action "people" maildir "/home/%{{user.username}}/Maildir"
action "ours" relay host smtp://{OURS} src {ADDRESS} helo peer.example
match from any for domain "peer.example" action "people"
match from any for domain "mail.aaaa.hu" action "ours"
"""


def start(name: str, host: ClassicHost) -> Service:
    """Start a peer by its name."""
    return {"Postfix": _postfix, "Exim": _exim, "OpenSMTPD": _opensmtpd}[name](host)


def _postfix(host: ClassicHost) -> Service:
    demand("postfix", "postfix")
    for directory in ("/var/spool/postfix", "/var/lib/postfix"):
        host.must("mkdir", "-p", directory)
    host.must("chown", "postfix", "/var/lib/postfix")
    host.write("/etc/postfix/main.cf", POSTFIX)
    lines = []
    for line in Path("/usr/share/postfix/master.cf.dist").read_text().splitlines():
        words = line.split()
        if line[:1].isalpha() and words[4:5] == ["y"]:
            line = " ".join([*words[:4], "n", *words[5:]])  # no chroot
        lines.append(line)
    host.write("/etc/postfix/master.cf", "\n".join(lines) + "\n")
    return host.start("postfix", "start-fg")


def _exim(host: ClassicHost) -> Service:
    _copy(host, "usr/sbin/exim4", "exim4")
    host.must("groupadd", "--system", "Debian-exim")
    host.must("useradd", "--system", "--gid", "Debian-exim", "--home-dir", "/var/spool/exim4", "Debian-exim")
    for directory in ("/var/spool/exim4", "/var/log/exim4"):
        host.must("install", "-d", "-o", "Debian-exim", "-g", "Debian-exim", directory)
    host.must("mkdir", "-p", "/etc/exim4")
    host.write("/etc/exim4/exim4.conf", EXIM)
    return host.start("/var/peers/exim4", "-bdf", "-q1m")


def _opensmtpd(host: ClassicHost) -> Service:
    _copy(host, "usr/sbin/smtpd", "smtpd")
    _copy(host, "usr/libexec", "libexec")
    host.must("mount", "--bind", "/var/peers/libexec", "/usr/libexec")  # it finds its delivery programs there only
    for user in ("opensmtpd", "opensmtpq"):
        host.must("groupadd", "--system", user)
        host.must("useradd", "--system", "--gid", user, "--home-dir", "/var/lib/opensmtpd/empty", user)
    host.must("mkdir", "-p", "/var/lib/opensmtpd/empty", "/var/spool")
    host.write("/etc/smtpd.conf", OPENSMTPD)
    return host.start("/var/peers/smtpd", "-d", "-f", "/etc/smtpd.conf")


def _copy(host: ClassicHost, source: str, target: str) -> None:
    """A file or directory of an unpacked package into /var/peers."""
    found = UNPACKED / source
    if not found.exists():
        pytest.skip(f"no {found}: .ci/run unpacks Debian's opensmtpd and exim4-daemon-light there")
    place = host.file("/var/peers")
    place.mkdir(exist_ok=True)
    (shutil.copytree if found.is_dir() else shutil.copy2)(found, place / target)
