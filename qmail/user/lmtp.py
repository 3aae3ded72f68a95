"""Hand a message to a mail store by LMTP, from a .qmail file.  qmail-lmtp(1).

    | qmail-lmtp [-t seconds] address [recipient]

`address` is the path of a socket, or host:port.  The recipient is RECIPIENT unless it is given; the message, with
DTLINE in front, is on descriptor 0, its sender is SENDER.

Exits 0 when the store has it, 100 if it refuses it for good, 111 if a later try may work."""

from __future__ import annotations

import os

from qmail.core import handover, remotereport
from qmail.core.messagefile import MessageFile
from qmail.core.resend import variable
from qmail.protocol.lmtp_client import LmtpDialogue
from ucspi.core import errtext, scan, streams
from ucspi.core.command import Call, Program, Value
from ucspi.core.failure import PermanentFailure, TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

PROGRAM = Program(
    "qmail-lmtp",
    __doc__,
    options=(Value("t", "SECONDS", "How long the store may take for a reply (600)."),),
    usage="qmail-lmtp [ -t seconds ] address [ recipient ]",
    operands="ADDRESS [RECIPIENT]",
)

PORT = 24  # assigned to private mail systems; LMTP has none, and must not use 25 (RFC 2033 5)
CONNECT = 60.0  # seconds
DOUBLE_BOUNCE = b"#@[]"  # no address that a mail store would take


class Delivery:
    """The message as the store gets it."""

    may_be_completed = True  # this is the end of its way, as in a mailbox file

    def __init__(self, line: bytes) -> None:
        self._line = line
        self._message = MessageFile(0)
        self.eightbit = self._message.eightbit or not line.isascii()

    def read(self) -> bytes:
        """Raises OSError."""
        line, self._line = self._line, b""
        return line or self._message.read()


def lmtp(call: Call) -> int:
    """The program."""
    if not 1 <= len(call.operands) <= 2:
        raise UsageFailure
    timeout = scan.number(call.value("t", b"600") or b"")
    sender, line = variable(call, b"SENDER"), variable(call, b"DTLINE")
    recipient = call.operands[1] if len(call.operands) > 1 else variable(call, b"RECIPIENT")
    if b"\n" in sender + recipient or b"\r" in sender + recipient:
        raise PermanentFailure("LMTP cannot carry this address. (#5.1.3)")
    connection = _connect(call, call.operands[0])
    message = Delivery(line)
    sender = b"" if sender == DOUBLE_BOUNCE else sender
    dialogue = LmtpDialogue(
        call.operands[0], os.fsencode(os.uname().nodename), sender, recipient, eightbit=message.eightbit
    )
    try:
        handover.converse(dialogue, connection.fileno(), timeout, message)
    finally:
        connection.close()
    return _tell(remotereport.merge(dialogue.report))


def _tell(report: bytes) -> int:
    """What the store said, as it goes into the log or a bounce, and the exit code."""
    letter, text = report[:1], report[1:]
    streams.write_all(1, text)
    return {b"K": 0, b"D": 100}.get(letter, 111)


def _connect(call: Call, address: bytes) -> _socket.socket:
    """Raises TemporaryFailure: that a store is down says nothing about the mail."""
    from _socket import AF_UNIX, SOCK_STREAM, socket

    if address.startswith(b"/"):
        connection = socket(AF_UNIX, SOCK_STREAM)
        try:
            connection.settimeout(CONNECT)  # a store that does not accept would keep us for ever
            connection.connect(address)
            connection.settimeout(None)
        except OSError as e:
            raise TemporaryFailure(f"unable to connect to {os.fsdecode(address)}: {errtext.text(e)}. (#4.4.1)") from e
        return connection
    from ucspi.core import dialing

    host, port = _host(address)
    found = dialing.dial(dialing.addresses(host, call.env), port, call.warn)
    if found is None:
        raise TemporaryFailure(f"unable to connect to {os.fsdecode(address)}. (#4.4.1)")
    return found


def _host(address: bytes) -> tuple[bytes, int]:
    """Host and port; an IPv6 address stands in brackets."""
    if address.startswith(b"["):
        host, bracket, rest = address[1:].partition(b"]")
        if not bracket or rest[:1] not in (b"", b":"):
            raise UsageFailure
        return host, scan.number(rest[1:]) or PORT
    host, _, port = address.partition(b":")
    if not host or (port and not scan.is_number(port)):
        raise UsageFailure
    return host, scan.number(port) or PORT


main = PROGRAM.entry(lmtp)
