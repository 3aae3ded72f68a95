"""An instance whose mail is scanned, and what has become of it."""

from __future__ import annotations

import base64
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmail.core import instance, queuetree, submit
from qmail.scanner import scanning
from qmail.scanner.quarantined import Quarantined, all_in
from tests.support import queues
from ucspi.core import chain
from ucspi.core.command import Call, Program

PROGRAM = Program("qmail-smtpd", "test")
CLEAN = (
    b"Received: x\nFrom: sj@aaaa.hu\nTo: bela@mail.aaaa.hu\nSubject: RE: torles\nMessage-ID: <E8C8@aaaa.hu>\n\nhello\n"
)
BOXES = ("quarantine/viruses", "quarantine/policy", "quarantine/spam", "archives")

OK, VIRUS = b"stream: OK\0", b"stream: Worm.Sober.G FOUND\0"
DEFERRED = b"Zmail server temporarily rejected message (#4.3.0)"
REFUSED = b"Dthis message contains the virus Worm.Sober.G (#5.7.1)"


def chunks(message: bytes) -> int:
    """Bytes that INSTREAM makes of it."""
    return len(message) + 10 + 4 * (len(message) // 65536 + 1) + 4


def with_attachment(name: str, content: bytes, subject: str = "x") -> bytes:
    return (
        (
            f"From: a@b\nSubject: {subject}\nMessage-ID: <1@x>\nMIME-Version: 1.0\n"
            f'Content-Type: multipart/mixed; boundary="bb"\n\n--bb\n\nhello\n--bb\n'
            f'Content-Type: application/x; name="{name}"\nContent-Transfer-Encoding: base64\n\n'
        ).encode()
        + base64.encodebytes(content)
        + b"--bb--\n"
    )


def make_spool(spool: Path) -> None:
    """The directories that qmail-scanner-configure makes."""
    for place in (
        "working/tmp",
        *(f"{box}/{part}" for box in BOXES for part in ("tmp", "new", "cur")),
    ):
        (spool / place).mkdir(parents=True)


class ScannedHome:
    """One instance; its log lines go to descriptor 2."""

    def __init__(self, directory: Path) -> None:
        self.instance = instance.Instance(os.fsencode(directory))
        queuetree.create(self.instance)
        self.home = directory
        self.spool = directory / "qscan"
        make_spool(self.spool)
        (directory / "control").mkdir()
        (directory / "control/me").write_text("mail.aaaa.hu\n")
        self.settings: dict[str, str] = {}
        self.set()

    def set(self, **changed: str | bytes) -> None:
        """Change settings: `sa_timeout="1"`."""
        self.settings.update(
            {name.replace("_", "-"): v if isinstance(v, str) else v.decode() for name, v in changed.items()}
        )
        written = {"spooldir": str(self.spool), "log-details": "stderr", "notify": "none", **self.settings}
        new = self.home / "control/scanner.new"
        new.write_text("".join(f"{name}: {value}\n" for name, value in written.items()))
        new.rename(self.home / "control/scanner")

    def rules(self, *lines: str) -> None:
        """Write the own list."""
        new = self.spool / "events.new"
        new.write_text("".join(line + "\n" for line in lines))
        new.rename(self.spool / "quarantine-events.txt")

    def call(self, **env: bytes) -> Call:
        """A program that hands in mail."""
        whole = {b"QMAILHOME": self.instance.home, b"PATH": b"/usr/bin:/bin", b"TCPREMOTEIP": b"192.168.1.22"}
        whole |= {name.encode(): value for name, value in env.items()}
        return Call(PROGRAM, [b"qmail-smtpd"], whole, chain.Process())

    def submission(self, **env: bytes) -> submit.Submission:
        """The beginning of a message."""
        return scanning.start(self.call(**env), self.instance)

    def hand_in(
        self,
        message: bytes = CLEAN,
        sender: bytes = b"sj@aaaa.hu",
        recipients: tuple[bytes, ...] = (b"sj@mail.aaaa.hu",),
        **env: bytes,
    ) -> bytes:
        """Send a message through the scanner; the result."""
        mail = self.submission(**env)
        for at in range(0, len(message), 5000):
            mail.write(message[at : at + 5000])
        return mail.close(sender, recipients)

    def queued(self) -> list[tuple[bytes, bytes]]:
        """(envelope, message) of all that is in the queue, without qmail-queue's own line; the queue is empty then."""
        found = []
        for file in sorted((self.home / "queue/todo").iterdir(), key=lambda path: path.stat().st_mtime_ns):
            number = int(file.name)
            mess = self.home / f"queue/mess/{number % 23}/{number}"
            envelope = re.sub(rb"^u\d+\0p\d+\0", b"", file.read_bytes())
            found.append((envelope, mess.read_bytes().partition(b"\n")[2]))
            for path in (file, mess, self.home / f"queue/intd/{number}"):
                path.unlink()
        assert queues.files(self.instance) == {}
        return found

    def quarantined(self) -> list[Quarantined]:
        """All that is in quarantine."""
        return [Quarantined(path) for path in all_in(os.fsencode(self.spool))]

    def quarantine_log(self) -> bytes:
        """All lines of quarantine.log."""
        file = self.spool / "quarantine.log"
        return file.read_bytes() if file.exists() else b""

    def leftovers(self) -> list[str]:
        """Files that a scan must not leave."""
        return [str(file) for file in self.spool.glob("**/tmp/*")] + [
            str(file) for file in self.spool.glob("working/**/*") if file.is_file()
        ]


@pytest.fixture
def home() -> Iterator[ScannedHome]:
    """One, made and removed; its path is short, for Unix sockets hold 107 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="scanned"))
    yield ScannedHome(directory)
    shutil.rmtree(directory)
