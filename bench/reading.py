"""POP3 sessions a second, against Dovecot's."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench import hosts
from bench.table import Table
from qmail.core import passwords

SECONDS = 5
PARALLEL = 10
MESSAGES, SIZE = 20, 2048
USER, PASSWORD = "demo", "secret"
# As cheap as libcrypt makes it, for both: the servers are to be measured, not the hash.
SALT = b"$6$rounds=1000$saltsaltsalt"
DOVECOT = shutil.which("dovecot", path="/usr/sbin")
# As the package's, in what counts; login processes live for one connection, which is its default.
CONFIG = """\
protocols = pop3
listen = 127.0.0.1
base_dir = {root}/run
state_dir = {root}/state
instance_name = bench
log_path = {root}/log
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{root}/Maildir
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = scheme=CRYPT username_format=%u {root}/passwd
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={root}
}}
service pop3-login {{
  {login}
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service pop3 {{
  process_limit = 200
}}
"""
LOGINS = {
    "Dovecot": "",
    "Dovecot, login processes kept (its high-performance mode)": "service_count = 0\n  process_min_avail = 2",
}


def sessions(directory: Path) -> Table:
    """USER, PASS, STAT, UIDL, RETR 3, QUIT: a new connection for each."""
    table = Table(f"POP3 sessions: login, STAT, UIDL, RETR 3, QUIT; {PARALLEL} clients", "sessions/s")
    client = directory / "pop3"
    source = Path(__file__).with_name("pop3.c")
    subprocess.run(["cc", "-O2", "-Wall", "-o", str(client), str(source)], check=True)
    stored = passwords.crypt(PASSWORD.encode(), SALT)
    assert stored is not None
    for what, login in LOGINS.items():
        if not DOVECOT or os.geteuid() != 0:
            table.add(what, None, "not installed, or not root")
            continue
        with dovecot(directory / "dovecot", stored, login) as port:
            table.add(what, _rate(client, port))
    with ours(directory, stored) as port:
        table.add("our tcpserver, qmail-popup, checkpassword, qmail-pop3d", _rate(client, port))
    return table


def _rate(client: Path, port: int) -> float:
    argv = [str(client), str(port), str(PARALLEL), str(SECONDS), USER, PASSWORD]
    done, failed = map(int, subprocess.run(argv, check=True, capture_output=True).stdout.split())
    if failed:
        raise RuntimeError(f"{failed} of {done + failed} sessions failed")
    return done / SECONDS


def fill(maildir: Path) -> None:
    """Messages that are an hour old: qmail-pop3d leaves out what came in the current second."""
    for name in ("new", "cur", "tmp"):
        (maildir / name).mkdir(parents=True, exist_ok=True)
    for number in range(MESSAGES):
        file = maildir / "cur" / f"1000000{number:03}.{number}.host:2,"
        file.write_bytes(b"Subject: %d\n\n" % number + b"x" * 63 * (SIZE // 64) + b"\n")
        os.utime(file, (1_000_000 + number, 1_000_000 + number))


@contextlib.contextmanager
def dovecot(root: Path, stored: bytes, login: str) -> Iterator[int]:
    """Dovecot with a configuration and a mailbox of its own; the port."""
    shutil.rmtree(root, ignore_errors=True)
    fill(root / "Maildir")
    for path in (root, *root.rglob("*")):
        os.chown(path, 65534, 65534)
    (root / "passwd").write_bytes(b"%b:%b\n" % (USER.encode(), stored))
    port = hosts.free_port()
    config = root / "dovecot.conf"
    config.write_text(CONFIG.format(root=root, port=port, login=login))
    with hosts.running([DOVECOT or "dovecot", "-F", "-c", str(config)], {"PATH": "/usr/sbin:/usr/bin:/bin"}, port):
        yield port


@contextlib.contextmanager
def ours(directory: Path, stored: bytes) -> Iterator[int]:
    """Our chain on an instance's mailbox; the port."""
    host = hosts.Instance(directory)
    (host.home / "users/passwd").write_bytes(passwords.pack(USER.encode(), stored, b"home/demo"))
    fill(host.home / "home/demo/Maildir")
    port = hosts.free_port()
    server = [str(hosts.BIN / "tcpserver"), "-HRl0", "-c", str(hosts.LIMIT), "127.0.0.1", str(port)]
    chain = ["qmail-popup", "localhost", "checkpassword", "qmail-pop3d", "Maildir"]
    with hosts.running([*server, *chain], host.env, port):
        yield port
