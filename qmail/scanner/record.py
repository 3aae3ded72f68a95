"""The lines that are written about messages, and where they go.  qmail-scanner-queue(8).

A line of the log, its fields separated by TAB in mailstats.csv and by a blank elsewhere:
    RESULT:RC:1(IP):[SA:1(SCORE/REQUIRED):] seconds size sender recipients subject msgid name:size ...
    RESULT is Clear, or SCANNER:Name as in CLAMSCAN:Worm.Sober.G; with log-crypto, CR:SMIME(signed): may follow SA
A line of quarantine.log, separated by TAB:
    Thu, 22 Mar 2007 19:31:52 AKST  sender  recipients  subject  event  clamscan: 0.90.1/2892.

What others chose stands in these lines only as safe.py lets it."""

from __future__ import annotations

import os
import syslog
import time

from qmail.scanner import crypto, owner, safe
from qmail.scanner.verdict import Scored, Skipped, Trouble
from ucspi.core import streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from qmail.scanner.decision import Finding
    from qmail.scanner.message import Message
    from qmail.scanner.settings import Settings
    from qmail.scanner.verdict import Verdict

TAG = "qmail-scanner"
CLEAR = b"Clear:"
ADDRESSES = 2000  # bytes of recipients that a line shows


def result(finding: Finding | None, message: Message, verdicts: Sequence[tuple[str, Verdict]]) -> bytes:
    """The first field of a log line, which stands in the header as well."""
    found = CLEAR if finding is None else b"%b:%b:" % (finding.scanner.upper(), safe.word(finding.name, 200))
    return found + message.origin + b"".join([score_field(kind, verdict) for kind, verdict in verdicts])


def score_field(kind: str, verdict: Verdict) -> bytes:
    """`SA:0(0.9/5.0):`; nothing for an engine that gives no scores."""
    if kind == "clamd":
        return b""
    letters = b"SA" if kind == "spamd" else b"RS"
    if isinstance(verdict, Scored):
        return b"%b:%d(%b/%b):" % (letters, verdict.spam, verdict.score, verdict.required)
    return letters + b":0(?/?):" if isinstance(verdict, Trouble | Skipped) else b""


def crypto_field(wanted: Settings, message: Message) -> bytes:
    """`CR:PGP(signed):`, if that is wanted and there is something to tell."""
    details = crypto.details(message.walker.parts) if wanted.is_on("log-crypto") else b""
    return b"CR:%b:" % details if details else b""


def seconds(elapsed: float) -> bytes:
    """Microseconds without zeros at the end, as Perl writes them."""
    return (b"%.6f" % max(0.0, elapsed)).rstrip(b"0").rstrip(b".")


def fields(result: bytes, message: Message, elapsed: float, stopped: bool) -> list[bytes]:
    """The fields of a log line."""
    return [
        result,
        seconds(elapsed),
        b"%d" % message.size,
        address(message.sender),
        safe.word(b",".join(message.recipients), ADDRESSES),
        safe.word(message.field(b"subject"), 300),
        safe.word(message.field(b"message-id"), 300),
        b" ".join(message.attachments() if stopped else message.files()),
    ]


def alert_fields(admin: bytes, subject: bytes, msgid: bytes) -> list[bytes]:
    """The fields of the line about an alert; the figures are always these."""
    return [
        b"Clear:RC:1(127.0.0.1):",
        b"0",
        b"1100",
        admin,
        b"<>",
        safe.word(subject),
        msgid,
        b"quarantine-event.txt:1000",
    ]


def address(sender: bytes) -> bytes:
    """A sender, none being <>."""
    return safe.word(sender) or b"<>"


def write(wanted: Settings, line: Sequence[bytes]) -> None:
    """Log one message.  Never fails: what has become of it does not depend on that."""
    where = wanted.text("log-details")
    if where == "yes":
        append(wanted.spool + b"/mailstats.csv", b"\t".join(line) + b"\n")
    elif where != "no":
        report(wanted, b" ".join(line))


def report(wanted: Settings, text: bytes, priority: int = syslog.LOG_INFO) -> None:
    """One line to the administrator's log."""
    if wanted.text("log-details") == "stderr":
        streams.complain(b"%b[%d]: %b\n" % (TAG.encode(), os.getpid(), text))
        return
    # Opened for this line alone: the next program in this process has a name of its own, and descriptors are closed.
    syslog.openlog(TAG, syslog.LOG_PID, syslog.LOG_MAIL)
    syslog.syslog(priority, text.decode("ascii", "replace"))
    syslog.closelog()


def quarantine_line(message: Message, finding: Finding, versions: bytes, now: float) -> bytes:
    """The line of quarantine.log."""
    date = time.strftime("%a, %d %b %Y %H:%M:%S %Z", time.localtime(now)).encode()
    subject = message.field(b"subject")
    named = (message.sender, b",".join(message.recipients), subject, finding.name, versions)
    columns = [safe.text(value, ADDRESSES) for value in named[:-1]]
    return b"\t".join([date, *columns, versions]) + b"\n"


def append(path: bytes, line: bytes) -> bool:
    """Add a line to a file, in one write; False if that cannot be."""
    try:
        with owner.of(os.path.dirname(path)):
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError:
        return False
    try:
        return os.write(fd, line) == len(line)
    except OSError:
        return False
    finally:
        os.close(fd)
