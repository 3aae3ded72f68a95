"""Send test messages through a running mail host, and say what its scanner does with them.  qmail-scanner-test(8).

    qmail-scanner-test [ -f sender ] host port recipient

clean must be accepted; rule (an attachment named Eicar.com), virus (EICAR in sneaky.txt) and spam (GTUBE) must be
refused or found in the quarantine, spam may be accepted and tagged, where the settings ask an engine for them.

Exits 0 if all is as it should be, 100 if not, 111 if the host cannot be reached or defers."""

from __future__ import annotations

import os
import time

from qmail.core import instance
from qmail.scanner import probes, quarantined, rules, safe, settings
from ucspi.core import streams
from ucspi.core.command import Call, Program, Value
from ucspi.core.failure import Failure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.scanner.settings import Settings

PROGRAM = Program(
    "qmail-scanner-test",
    __doc__,
    options=(Value("f", "SENDER", "Envelope sender; the recipient."),),
    usage="qmail-scanner-test [ -f sender ] host port recipient",
    operands="HOST PORT RECIPIENT",
)
WRONG, DEFERRED = 100, 111


def scanner_test(call: Call) -> int:
    """The program."""
    if len(call.operands) != 3 or not call.operands[1].isdigit() or int(call.operands[1][:9]) > 65535:
        raise UsageFailure
    host, port, recipient = call.operands
    sender = call.value("f", recipient) or b""
    try:
        wanted: Settings | None = settings.load(instance.of(call.env))
    except (Failure, OSError):
        wanted = None  # another machine's, or not ours to read
    code = 0
    for name, make in probes.ALL.items():
        msgid = b"%b.%d.%d@qmail-scanner-test" % (name, time.time(), os.getpid())
        reply = probes.send(host, int(port), sender, recipient, make(sender, recipient, msgid))
        kept = reply.startswith(b"2") and wanted is not None and _is_kept(wanted, msgid)
        fate = "quarantined" if kept else {b"2": "accepted", b"4": "deferred"}.get(reply[:1], "refused")
        good = _is_good(name, fate, wanted)
        shown = os.fsdecode(safe.text(reply, 300))
        streams.write_all(1, os.fsencode(f"{name.decode()}: {fate}{'' if good else ', and should not be'} ({shown})\n"))
        if fate == "deferred":
            code = code or DEFERRED
        elif not good:
            code = WRONG
    return code


def _is_good(name: bytes, fate: str, wanted: Settings | None) -> bool:
    """Is that what should become of the message?"""
    if name == b"clean":
        return fate == "accepted"
    if fate == "accepted":
        return name == b"spam" or (wanted is not None and not _is_looked_for(name, wanted))
    return fate != "deferred"


def _is_looked_for(name: bytes, wanted: Settings) -> bool:
    if name == b"rule":
        return any(line[0].lower() == b"eicar.com" for line in rules.load(wanted).lines)
    return any(kind == "clamd" for kind, _, _ in wanted.engines())


def _is_kept(wanted: Settings, msgid: bytes) -> bool:
    """Is it in the quarantine?  False as well where that cannot be read."""
    try:
        return any(_has(path, b"Message-ID: <%b>" % msgid) for path in quarantined.all_in(wanted.spool))
    except OSError:
        return False


def _has(path: bytes, line: bytes) -> bool:
    try:
        return line in next(quarantined.Quarantined(path).blocks(), b"")
    except (OSError, Failure):
        return False  # released just now, or none of ours


main = PROGRAM.entry(scanner_test)
