"""What is written into the header of a message that is passed on.  qmail-scanner-queue(8), section HEADER.

    Received: from CLIENT by HOST (envelope-from <SENDER>, uid UID) with qmail-scanner-2.01
     (clamdscan: 0.94.2/9149. spamassassin: 2.63.
     Clear:RC:1(203.83.114.121):SA:0(2.6/5.0):.
     Processed in 8.376433 secs); 08 May 2009 06:30:44 -0000

The lines end in one, two and one blanks before the newline.  The block goes on top, as every trace field does."""

from __future__ import annotations

import time

from qmail.core.datestamp import MONTHS
from qmail.scanner import record, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from qmail.scanner.decision import Decision
    from qmail.scanner.message import Message
    from qmail.scanner.settings import Settings

VERSION = b"2.01"  # the qmail-scanner whose fields and log lines these are
LINE = 65536  # bytes of a header line that are looked at in one piece
_SPAM_FIELDS = (b"x-spam-status:", b"x-spam-flag:", b"x-spam-level:")
STARS = 50  # in X-Spam-Level, at the most


def block(
    wanted: Settings, message: Message, decision: Decision, said: bytes, versions: bytes, uid: int, now: float
) -> bytes:
    """All fields that go on top.  `said` is the result (record.result), `versions` what the engines are."""
    lines = [_trace(wanted, message, said, versions, uid, now)]
    if not message.field(b"message-id"):
        lines.append(
            b"X-Qmail-Scanner-Message-ID: <%d%03d%d@%b>\n"
            % (message.began, message.began % 1 * 1000, message.pid, message.host)
        )
    if wanted.text("add-dscr-hdrs") != "no":
        lines += _old_fields(wanted, message, said, now)
    mark = decision.mark
    if mark is not None:
        lines.append(b"X-Spam-Status: Yes, hits=%b required=%b\n" % (mark.score, mark.required))
        lines.append(b"X-Spam-Level: %b\n" % (b"+" * max(0, min(STARS, int(float(mark.score))))))
    if decision.finding is not None and decision.finding.kind != "spam":
        lines.append(
            b"X-Qmail-Scanner-Found: %b %b\n" % (decision.finding.kind.encode(), safe.text(decision.finding.name, 200))
        )
    return b"".join(lines)


def _trace(wanted: Settings, message: Message, said: bytes, versions: bytes, uid: int, now: float) -> bytes:
    client = safe.word(message.client)
    if message.info:
        client += b" (%b@%b)" % (safe.word(message.info), safe.word(message.ip))
    t = time.gmtime(now)
    date = b"%02d %b %d %02d:%02d:%02d -0000" % (
        *(t.tm_mday, MONTHS[t.tm_mon - 1], t.tm_year, t.tm_hour, t.tm_min, t.tm_sec),
    )
    return (
        b"%b: from %b by %b (envelope-from <%b>, uid %d) with qmail-scanner-%b \n"
        % (wanted.raw("header"), client, message.host, safe.word(message.sender), uid, VERSION)
        + b" (%b  \n %b. \n" % (versions, said)
        + b" Processed in %b secs); %b\n" % (record.seconds(now - message.began), date)
    )


def _old_fields(wanted: Settings, message: Message, said: bytes, now: float) -> list[bytes]:
    took = record.seconds(now - message.began)
    lines = [
        b"X-Qmail-Scanner: %b (%b. Processed in %b secs)\n" % (VERSION, said, took),
        b"X-Qmail-Scanner-Mail-From: %b via %b\n" % (safe.word(message.sender), message.host),
    ]
    if wanted.text("add-dscr-hdrs") == "all":
        recipients = safe.word(b",".join(message.recipients))
        lines.append(b"X-Qmail-Scanner-Rcpt-To: %b\n" % recipients)
    return lines


def missing_type(message: Message) -> bytes:
    """The fields that a message gets at the end of its header which says that it is MIME, but not of what type."""
    names = {name for name, _ in message.walker.fields}
    if b"mime-version" not in names or b"content-type" in names:
        return b""
    return b"X-Qmail-Scanner-%b: added fake Content-Type header\nContent-Type: text/plain\n" % VERSION


def rewritten(blocks: Iterable[bytes], subject: bytes, last: bytes = b"", *, judged: bool = True) -> Iterator[bytes]:
    """The message with `subject` (if any) in front of its Subject, and the fields `last` at the end of its header.

    `judged`: a spam engine was to score it, so the spam fields of others are renamed.  A message that has no Subject
    gets one.  The body goes through as it is."""
    missing = bool(subject)

    def change(line: bytes) -> bytes:
        nonlocal missing
        lower = line[:16].lower()
        if judged and lower.startswith(_SPAM_FIELDS):
            return b"X-Old-" + line[2:]
        if missing and lower.startswith(b"subject:"):
            missing = False
            return b"%b %b %b" % (line[:8], subject, line[8:].lstrip(b" \t"))
        return line

    def end() -> bytes:
        return (b"Subject: %b\n" % subject if missing else b"") + last

    return _header_changed(blocks, change, end)


def _header_changed(
    blocks: Iterable[bytes], change: Callable[[bytes], bytes], end: Callable[[], bytes]
) -> Iterator[bytes]:
    pending, inside = b"", True
    for data in blocks:
        if not inside:
            yield data
            continue
        *lines, pending = (pending + data).split(b"\n")
        done = []
        while lines and inside:
            line = lines.pop(0)
            inside = line not in (b"", b"\r")
            done.append((change(line) if inside else end() + line) + b"\n")
        if not inside:
            done.append(b"\n".join([*lines, pending]))
            pending = b""
        elif len(pending) > LINE:
            done.append(pending)
            pending = b""
        yield b"".join(done)
    if inside:
        last = change(pending) if pending else b""
        added = end()
        yield last + b"\n" + added if last and added else last + added
