"""What is measured: our mail host, the originals of Debian's packages, and Postfix, each in a directory of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

BIN = Path(sys.executable).parent
C_TCPSERVER, C_RBLSMTPD = "/usr/bin/tcpserver", "/usr/bin/rblsmtpd"
POSTFIX, SMTP_SOURCE = shutil.which("postfix", path="/usr/sbin"), shutil.which("smtp-source", path="/usr/sbin")
LIMIT = 100  # connections a server under test may serve at a time


def free_port() -> int:
    """A TCP port nobody listens on just now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def wait_for(port: int, seconds: float = 20) -> None:
    """Return when something on `port` sends its greeting."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as s:
                s.settimeout(5)
                if s.recv(1):
                    _leave(s)
                    return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _leave(connection: socket.socket) -> None:
    """QUIT, to a server that may have gone without waiting for it."""
    try:
        connection.sendall(b"QUIT\r\n")
        while connection.recv(4096):
            pass
    except OSError:
        pass


@contextlib.contextmanager
def running(argv: Sequence[str], env: dict[str, str], port: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process group that lives as long as the block, after its port has answered."""
    with open(os.devnull, "r+b") as null:
        process = subprocess.Popen(argv, env=env, stdin=null, stdout=null, stderr=null, start_new_session=True)
    try:
        if port is not None:
            wait_for(port)
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Instance:
    """Our mail host, made by qmail-instance as a user would make it."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "instance"
        self.smtp_port = free_port()
        self.env = {"PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "QMAILHOME": str(self.home), "LOCAL": "localhost"}
        subprocess.run([BIN / "qmail-instance", str(self.home)], check=True, stderr=subprocess.DEVNULL)
        self.new = self.home / "home/demo/Maildir/new"

    def smtpd(self, *, tcpserver: str | None = None) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """The SMTP chain of the article, without look-ups; `tcpserver` may be the original."""
        self.smtp_port = free_port()
        server = [tcpserver or str(BIN / "tcpserver"), "-HRl0", "-c", str(LIMIT), "127.0.0.1", str(self.smtp_port)]
        return running([*server, str(BIN / "rblsmtpd"), str(BIN / "qmail-smtpd")], self.env, self.smtp_port)

    def sender(self) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """qmail-send and its company, with a log, as Postfix keeps one."""
        logger = [str(BIN / "multilog"), "t", str(self.home / "log")]
        return running([str(BIN / "qmail-start"), "./Maildir/", *logger], self.env)

    def queued(self) -> int:
        """Messages in the queue."""
        return sum(1 for _ in (self.home / "queue/mess").glob("*/*"))

    def empty(self) -> None:
        """Forget all mail, queued and delivered."""
        for pattern in ("queue/mess/*/*", "queue/todo/*", "queue/intd/*", "home/demo/Maildir/new/*"):
            for file in self.home.glob(pattern):
                file.unlink()


class Postfix:
    """Postfix with its defaults, delivering to a Maildir by virtual(8); no look-ups either."""

    MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/spool
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = localhost
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = {root}/spool/mail.log
maillog_file_prefixes = /
alias_maps =
alias_database =
virtual_mailbox_domains = localhost
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = static:demo/Maildir/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_peername_lookup = no
"""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "postfix"
        self.config = self.root / "etc"
        self.smtp_port = free_port()
        self.new = self.root / "mail/demo/Maildir/new"

    @contextlib.contextmanager
    def serving(self, *, deliver: bool, relay: int = 0) -> Iterator[None]:
        """Started, until the block ends.  `deliver` False: mail is accepted and stays queued.

        `relay`: the port on loopback where a host takes the mail for all other domains."""
        shutil.rmtree(self.root, ignore_errors=True)
        for name in ("etc", "spool", "data", "mail/demo"):
            (self.root / name).mkdir(parents=True)
        for path in (self.root, *self.root.parents):
            if path == Path("/") or path.stat().st_mode & 0o005 == 0o005:
                continue
            path.chmod(path.stat().st_mode | 0o011)
        shutil.chown(self.root / "data", "postfix")
        for name in ("mail", "mail/demo"):
            os.chown(self.root / name, 65534, 65534)
        main = self.MAIN.format(root=self.root) + ("" if deliver else "defer_transports = virtual, smtp\n")
        if relay:
            main += f"relayhost = [127.0.0.1]:{relay}\n"
        (self.config / "main.cf").write_text(main)
        self._master()
        command = [POSTFIX or "postfix", "-c", str(self.config)]
        subprocess.run([*command, "start"], check=True, capture_output=True)
        try:
            wait_for(self.smtp_port)
            yield
        finally:
            subprocess.run([*command, "stop"], check=False, capture_output=True)

    def let_go(self) -> None:
        """Deliver what was kept queued."""
        config = str(self.config)
        for argv in (
            ["postconf", "-c", config, "-e", "defer_transports="],
            ["postfix", "-c", config, "reload"],
            ["postqueue", "-c", config, "-f"],
        ):
            subprocess.run(
                [shutil.which(argv[0], path="/usr/sbin") or argv[0], *argv[1:]], check=True, capture_output=True
            )

    def queued(self) -> int:
        """Messages in the queue."""
        names = ("maildrop", "incoming", "active", "deferred")
        return sum(len(files) for name in names for _, _, files in os.walk(self.root / "spool" / name))

    def _master(self) -> None:
        stock = Path("/usr/share/postfix/master.cf.dist").read_text()
        lines = []
        for line in stock.splitlines():
            if line.startswith("smtp      inet"):
                line = f"127.0.0.1:{self.smtp_port} inet n - n - {LIMIT} smtpd"
            elif line[:1].isalpha() and line.split()[4:5] == ["y"]:
                words = line.split()
                line = " ".join([*words[:4], "n", *words[5:]])  # no chroot
            lines.append(line)
        (self.config / "master.cf").write_text("\n".join(lines) + "\n")
