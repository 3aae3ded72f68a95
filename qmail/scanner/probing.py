"""Look for engines, and see what they say of messages that are meant for that: a clean one, EICAR, GTUBE.

The test strings are put together here, so that no scanner takes this file for what it is about."""

from __future__ import annotations

import os

from qmail.scanner.asking import Question, ask
from qmail.scanner.clamd import Ask, Clamd
from qmail.scanner.rspamd import Rspamd
from qmail.scanner.spamd import Spamd
from qmail.scanner.store import Store
from qmail.scanner.verdict import Infected, Scored, Trouble, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.scanner.conversation import Conversation
    from qmail.scanner.settings import Settings

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}" + b"$EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-" + b"TEST-EMAIL*C.34X"
SECONDS = 30.0
PLACES = {
    "clamd": (
        b"/run/clamav/clamd.ctl",
        b"/var/run/clamav/clamd.ctl",
        b"/run/clamav/clamd.sock",
        b"/run/clamd.scan/clamd.sock",
        b"/var/run/clamd.scan/clamd.sock",
        b"/tmp/clamd.socket",
        b"/tmp/clamd",
        b"127.0.0.1:3310",
    ),
    "spamd": (b"/run/spamd.sock", b"/run/spamassassin/spamd.sock", b"127.0.0.1:783"),
    "rspamd": (b"127.0.0.1:11333",),
}
CLEAN = b"From: probe@localhost\nTo: probe@localhost\nSubject: clean probe\nMessage-ID: <clean@localhost>\n\nhello\n"


def question(kind: str, address: bytes) -> Conversation:
    """The conversation with an engine of that kind."""
    name = kind.encode()
    if kind == "clamd":
        return Clamd(name)
    return Spamd(name) if kind == "spamd" else Rspamd(name, b"probe@localhost", [b"probe@localhost"], b"127.0.0.1")


def says(kind: str, address: bytes, message: bytes) -> Verdict:
    """An engine's verdict on a message."""
    store = Store(b"/")
    store.write(message)
    return ask([Question(question(kind, address), address, SECONDS)], store)[0]


def check(kind: str, address: bytes) -> str:
    """What is wrong with an engine; nothing if it knows a clean message from the test virus, or the test spam."""
    clean = says(kind, address, CLEAN)
    if isinstance(clean, Trouble):
        return clean.why.decode("ascii", "replace")
    if isinstance(clean, Infected) or (isinstance(clean, Scored) and clean.spam):
        return "takes a clean message for a bad one"
    bait = CLEAN + (EICAR if kind == "clamd" else GTUBE) + b"\n"
    if kind == "clamd":
        bait = EICAR  # alone: signatures are of the whole file
    found = says(kind, address, bait)
    if isinstance(found, Trouble):
        return found.why.decode("ascii", "replace")
    if not isinstance(found, Infected) and not (isinstance(found, Scored) and found.spam):
        return f"does not find the test {'virus' if kind == 'clamd' else 'spam'}"
    return ""


def is_there(kind: str, address: bytes) -> bool:
    """Does anybody answer there, as an engine of that kind would?"""
    return not isinstance(says(kind, address, CLEAN), Trouble)


def find(kind: str) -> bytes | None:
    """Where an engine is, of the places where it usually is."""
    for address in PLACES[kind]:
        if address.startswith(b"/") and not os.path.exists(address):
            continue
        if is_there(kind, address):
            return address
    return None


def versions(wanted: Settings) -> dict[bytes, bytes]:
    """The versions of the engines, by their names in the logs, as far as they tell."""
    found = {}
    for kind, name, _ in wanted.engines():
        version = _clamd_version(wanted.raw("clamd")) if kind == "clamd" else _command_version(kind)
        if version:
            found[name] = version
    return found


def _clamd_version(address: bytes) -> bytes:
    """`ClamAV 0.90.1/2892/DATE`: engine and database."""
    asked = Ask(b"clamd", b"VERSION")
    if isinstance(ask([Question(asked, address, SECONDS)], Store(b"/"))[0], Trouble):
        return b""
    engine, *database = asked.answer.removeprefix(b"ClamAV ").split(b"/")
    return b"/".join([engine, *database[:1]])


def _command_version(kind: str) -> bytes:
    """The number in what `spamd --version` or `rspamd --version` prints; their protocols do not tell it."""
    import re
    import subprocess

    for place in ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"):
        try:
            done = subprocess.run([f"{place}/{kind}", "--version"], capture_output=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if found := re.search(rb"\d+\.\d[\d.]*", done.stdout):
            return found[0]
    return b""
