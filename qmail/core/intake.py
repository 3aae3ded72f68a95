"""What qmail-smtpd, qmail-qmtpd and qmail-qmqpd do with the mail that their protocol brings: answers to its questions
(qmail.protocol.incoming), from the control files to the queue, and a line in the log for whatever is refused."""

from __future__ import annotations

import os
import time

from qmail.core import logline, submit
from qmail.core.received import received
from qmail.protocol.incoming import NO_GATEWAY, Block, Close, Open, Recipient, Refused
from ucspi.core import scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qmail.core.control import Control
    from qmail.core.instance import Instance
    from qmail.core.rcptcheck import Check
    from qmail.core.rcpthosts import RcptHosts
    from ucspi.core.command import Call

Question = Recipient | Open | Block | Close | Refused  # and what is only told

LOGGED = 100  # refusals of one connection that are logged; who makes more would fill the log
SHOWN = 300  # bytes of a reply that a line shows
_PRINTABLE = bytes(byte if 32 <= byte <= 126 else ord("?") for byte in range(256))


def databytes(control: Control, env: Mapping[bytes, bytes]) -> int:
    """The size of the largest mail that is taken, 0 for any.  Raises OSError."""
    limit = control.number(b"databytes", 0)
    return scan.number(env[b"DATABYTES"]) if b"DATABYTES" in env else limit


def checks(call: Call, home: Instance, control: Control) -> list[Check]:
    """What recipients are to be checked for; usually nothing.  Raises OSError."""
    if call.env.get(b"RCPTCHECK") == b"":
        return []
    if b"RCPTCHECK" not in call.env and not os.path.lexists(control.directory + b"/rcptcheck"):
        return []
    from qmail.core import rcptcheck  # with the routing tables and the .qmail files behind it

    return rcptcheck.load(call, home, control)


class Intake:
    """The mails of one connection."""

    __slots__ = ("_call", "_checks", "_home", "_logged", "_mail", "_protocol", "_rcpthosts")

    def __init__(
        self,
        call: Call,
        home: Instance,
        protocol: bytes,
        rcpthosts: RcptHosts | None,
        checks: Sequence[Check] = (),
    ) -> None:
        """`protocol`: for the trace line.  `rcpthosts`: whom mail is for; None where nobody asks.  `checks`: of
        recipients whose domain is ours (rcptcheck)."""
        self._call, self._home = call, home
        self._protocol, self._rcpthosts, self._checks = protocol, rcpthosts, checks
        self._mail: submit.Submission | None = None  # while a mail comes
        self._logged = 0

    def answer(self, event: Question) -> None:
        """Answer a question, or do what is told.  Raises OSError if morercpthosts.cdb is damaged."""
        if isinstance(event, Block):
            assert self._mail is not None
            self._mail.write(event.data)
        elif isinstance(event, Recipient):
            event.answer = self._verdict(event)
        elif isinstance(event, Open):
            event.answer = self._open(event.helo)
        elif isinstance(event, Close):
            self._close(event)
        else:
            self._log(event)

    def leave(self) -> None:
        """The connection is over: half a mail is none."""
        if self._mail is not None:
            self._mail.abandon()
        if self._rcpthosts is not None:
            self._rcpthosts.close()

    def _verdict(self, event: Recipient) -> bytes:
        if not event.relayed and self._rcpthosts is not None and not self._rcpthosts.allows(event.address):
            return NO_GATEWAY
        for check in self._checks:
            if refusal := check(event):
                return refusal
        return b""

    def _open(self, helo: bytes | None) -> bool:
        try:
            self._mail = submit.open_queue(self._call, self._home)
        except OSError:
            return False
        self._mail.write(received(self._call.env, self._protocol, helo, time.time()))
        return True

    def _close(self, event: Close) -> None:
        assert self._mail is not None
        if event.refused:
            self._mail.fail()
        event.answer = self._mail.close(event.sender, event.recipients)
        event.accepted = b"%d qp %d" % (time.time(), self._mail.qp)
        self._mail = None

    def _log(self, event: Refused) -> None:
        """One line, printable whatever the client has said."""
        if self._logged >= LOGGED or _is_the_client(2):
            return
        self._logged += 1
        env = self._call.env
        who = logline.safe(env.get(b"TCPREMOTEIP", b"unknown"))
        parts = [b"%b pid %d:" % (who, os.getpid())]
        if event.sender is not None:
            parts.append(b"from <%b>" % logline.safe(event.sender))
        if event.recipient is not None:
            parts.append(b"to <%b>" % logline.safe(event.recipient))
        parts.append(event.reply[:SHOWN].translate(_PRINTABLE))
        if self._logged == LOGGED:
            parts.append(b"(more is not logged)")
        self._call.warn(b" ".join(parts))


def _is_the_client(fd: int) -> bool:
    """True if a descriptor leads where our replies go, as under inetd: a line there would be taken for one."""
    try:
        ours, theirs = os.fstat(fd), os.fstat(1)
    except OSError:
        return True  # closed
    return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)
