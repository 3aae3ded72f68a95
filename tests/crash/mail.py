"""What the crash tests send, and how they judge what came of it.

Every message has an id and a body that nobody could cut or mix unnoticed.  What was accepted has to arrive at least
once, whole; what was not may arrive, but whole too; nothing else may be found in any mailbox."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

SENDER = b"sender@here.example"
MAILDIR, MBOX, NOBODY = b"box@here.example", b"file@here.example", b"nobody@here.example"
FAR, GONE = b"far@far.example", b"gone@far.example"
EVERYBODY = (MAILDIR, MBOX, NOBODY, FAR, GONE)
BOUNCING = (NOBODY, GONE)

KINDS = ("pid", "mess", "intd", "todo", "info", "local", "remote", "bounce")
Files = dict[int, frozenset[str]]


class Message:
    """One message; `text` is what is handed in."""

    def __init__(self, name: str, recipients: Iterable[bytes] = EVERYBODY, size: int = 600) -> None:
        self.name, self.recipients = name, tuple(recipients)
        line = hashlib.sha256(name.encode()).hexdigest()
        body = "".join(f"{at:06d} {line}\n" for at in range(size // 72 + 1))
        self.text = f"Subject: {name}\nX-Id: {name}.\n\n{body}end of {name}\n".encode()

    @property
    def id(self) -> bytes:
        return b"X-Id: %b.\n" % self.name.encode()


class Verdict:
    """What was found.  `wrong` must be empty; `copies` counts (message, recipient)."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.copies: Counter[tuple[str, bytes]] = Counter()
        self.broken = 0

    @property
    def duplicates(self) -> int:
        return sum(count - 1 for count in self.copies.values())

    def duplicates_of(self, recipient: bytes) -> int:
        return sum(count - 1 for (_, to), count in self.copies.items() if to == recipient)


def judge(
    known: Iterable[Message], accepted: set[str], home: Path, sink: Iterable[bytes], torn: bool = False
) -> Verdict:
    """Look through all mailboxes.  `torn`: the mbox file may hold ruins, as after a power cut, between whole messages."""
    verdict = Verdict()
    messages = {message.id: message for message in known}
    for folder in ("Maildir", "Bounces"):
        for path in sorted((home / folder / "new").iterdir()):
            _count(verdict, messages, path.read_bytes(), MAILDIR if folder == "Maildir" else None, path.name)
    for text in sink:
        _count(verdict, messages, text, FAR, "sink")
    mbox = (home / "mbox").read_bytes() if (home / "mbox").exists() else b""
    for message in messages.values():
        verdict.copies[message.name, MBOX] += mbox.count(message.text)
    rest = mbox
    for message in messages.values():
        rest = rest.replace(message.text, b"")
    if not torn and re.search(rb"X-Id|end of|[0-9a-f]{64}", rest):
        verdict.wrong.append(f"mbox: something that is no whole message: {rest[:300]!r}")
    for message in messages.values():
        for recipient in message.recipients:
            if message.name in accepted and not verdict.copies[message.name, recipient]:
                verdict.wrong.append(f"{message.name} to {recipient.decode()}: accepted, and lost")
    verdict.copies = +verdict.copies
    return verdict


def _count(verdict: Verdict, messages: dict[bytes, Message], text: bytes, recipient: bytes | None, where: str) -> None:
    found = re.findall(rb"X-Id: [^\n]*\n", text)
    message = messages.get(found[0]) if found else None
    if message is None or not text.endswith(message.text) or len(found) > 1:
        verdict.wrong.append(f"{where}: no whole message: {text[:600]!r}")
        return
    head = text[: -len(message.text)]
    if recipient is not None:
        if not re.fullmatch(rb"(?:[^\n]+\n)+", head):
            verdict.wrong.append(f"{where}: a broken header: {head!r}")
        verdict.copies[message.name, recipient] += 1
        return
    if b"Return-Path: <%b>\n" % SENDER not in head or b"\nHi. This is the" not in head:
        verdict.wrong.append(f"{where}: a broken bounce: {head!r}")
    for failed in BOUNCING:
        verdict.copies[message.name, failed] += head.count(b"<%b>:\n" % failed)


def states(queue: Path) -> Files:
    """The kinds of file that each message number has."""
    found: dict[int, set[str]] = {}
    for kind in KINDS[1:]:
        for path in (queue / kind).rglob("*"):
            if path.name.isdigit() and path.is_file():
                found.setdefault(int(path.name), set()).add(kind)
    return {number: frozenset(kinds) for number, kinds in found.items()}


def forbidden(files: Files) -> list[str]:
    """Numbers whose files are in none of the states S1 to S5."""
    return [f"{number}: {sorted(kinds)}" for number, kinds in files.items() if not _allowed(kinds)]


def _allowed(kinds: frozenset[str]) -> bool:
    if "mess" not in kinds:
        return False
    if "todo" in kinds:  # S4; info, local and remote may be there from an earlier try
        return "bounce" not in kinds
    if "info" in kinds:  # S5
        return "intd" not in kinds
    return not kinds & {"local", "remote", "bounce"}  # S2, S3


def age(queue: Path, seconds: int = 37 * 3600) -> None:
    """Let everything in the queue become older than any reception lasts."""
    for kind in ("pid", "mess", "intd", "local", "remote", "bounce"):
        for path in (queue / kind).rglob("*"):
            if path.is_file():
                status = path.stat()
                os.utime(path, (status.st_atime - seconds, status.st_mtime - seconds))
