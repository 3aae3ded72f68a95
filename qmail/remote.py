"""Hand a message to another host by SMTP.  qmail-remote(8).

qmail-remote HOST SENDER RECIPIENT... reads the message from descriptor 0 and reports on descriptor 1, in items that end
in 0x00: r, h or s for each recipient, then K, Z or D for the message.  It always exits 0: whatever happens is a report.

Reads control/smtproutes, timeoutconnect, timeoutremote, helohost, outgoingip, outgoingip6 and domainbindings; shares
queue/lock/tcpto with its siblings."""

from __future__ import annotations

import errno
import os
import time

from qmail.core import dnsanswers, instance, ipme, mx, outgoing, racing, smtproutes
from qmail.core.control import Control, keymap
from qmail.core.handover import converse
from qmail.core.messagefile import MessageFile
from qmail.core.tcpto import Table
from qmail.protocol.smtp_client import Dialogue
from ucspi.core import streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import Failure, PermanentFailure, TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmail.core.smtproutes import Route

PROGRAM = Program(
    "qmail-remote",
    __doc__,
    operands="HOST SENDER RECIPIENT...",
    preload=(*dnsanswers.MODULES, "setproctitle"),
    title=True,
)


class Settings:
    """What the control files say about mail from `sender`."""

    __slots__ = ("outgoing", "routes", "timeout_connect", "timeout_remote")

    def __init__(self, control: Control, sender: bytes) -> None:
        """Raises OSError or TemporaryFailure."""
        self.timeout_remote = control.number(b"timeoutremote", 1200)
        self.timeout_connect = control.number(b"timeoutconnect", 60)
        self.outgoing = outgoing.read(control, sender)
        self.routes = keymap(control.entries(b"smtproutes") or ())


def remote(call: Call) -> int:
    """Deliver, and report."""
    try:
        report = deliver(call)
    except Failure as e:
        report = e.letter + str(e).encode("latin-1", "replace") + b"\n\0"
    except MemoryError:
        report = b"ZOut of memory. (#4.3.0)\n\0"
    try:
        streams.write_all(1, report)
    except OSError:
        pass  # nobody wants to know
    return 0


def deliver(call: Call) -> bytes:
    """The report of the whole run.  Raises Failure where there was nobody to talk to."""
    if len(call.operands) < 3 or any(b"\n" in word or b"\r" in word for word in call.operands):
        # Unlike the original: what SMTP cannot carry in one line must not become two commands.
        raise PermanentFailure("I (qmail-remote) was invoked improperly. (#5.3.5)")
    host, sender, *recipients = call.operands
    here = instance.of(call.env)
    settings = _settings(here, sender)
    route = smtproutes.find(host, settings.routes)
    connection = _connect(_levels(call, host, route), settings, Table(here.path(b"queue", b"lock", b"tcpto")))
    message = MessageFile(0)
    dialogue = Dialogue(connection.address, settings.outgoing.helo, sender, recipients, eightbit=message.eightbit)
    try:
        converse(dialogue, connection.socket.fileno(), settings.timeout_remote, message)
    finally:
        connection.socket.close()
    return dialogue.report


def _settings(here: instance.Instance, sender: bytes) -> Settings:
    try:
        os.stat(here.home + b"/.")
    except OSError:
        raise TemporaryFailure("Unable to switch to home directory. (#4.3.0)") from None
    try:
        return Settings(Control(here.control), sender)
    except OSError:
        raise TemporaryFailure("Unable to read control files. (#4.3.0)") from None


def _no_resources() -> TemporaryFailure:
    return TemporaryFailure("System resources temporarily unavailable. (#4.3.0)")


def _levels(call: Call, host: bytes, route: Route) -> Iterator[mx.Level]:
    answers = dnsanswers.SystemAnswers(call.env)
    if route.relays:
        return mx.relays(route.relays, answers)
    try:
        return mx.candidates(host, answers, ipme.addresses(), route.family)
    except OSError:
        raise _no_resources() from None


def _connect(levels: Iterator[mx.Level], settings: Settings, table: Table) -> racing.Attempt:
    """The first candidate that accepts a connection; whatever it says then is final."""

    def result(address: bytes, error: int) -> None:
        if error == errno.ETIMEDOUT:
            table.timed_out(address, int(time.time()))
        else:
            table.answered(address)

    race = racing.Race(settings.timeout_connect, settings.outgoing.bind, result)
    for level in levels:
        now, pid = int(time.time()), os.getpid()
        try:
            winner = race.run([a for a in level.addresses if not table.avoids(a, now, pid)], level.port)
        except racing.NoSocket:
            raise _no_resources() from None
        if winner:
            return winner
    raise TemporaryFailure("Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)")


main = PROGRAM.entry(remote)
