"""Queue a message at another host by QMQP, in the place of qmail-queue.  qmail-qmqpc(8).

Reads the message on descriptor 0 to its end, then the envelope on descriptor 1.  Exits 0 when a server of
control/qmqpservers has taken the message; any other code says why not, and nothing is ever printed."""

from __future__ import annotations

import errno
import os

from qmail.core import envelope, instance, racing
from qmail.core.control import Control
from qmail.protocol import qmqp_client
from ucspi.core import ip, scan, streams
from ucspi.core.command import Call, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PROGRAM = Program("qmail-qmqpc", __doc__)

PORT = 628
CONNECT, PROGRESS = 10, 60  # seconds
ACCEPTED, REFUSED, DEFERRED = 0, 31, 71
NO_MEMORY, UNREADABLE, NO_SERVER, NO_SOCKET, NO_HOME = 51, 54, 55, 56, 61
SILENT, UNREACHABLE, BROKEN, BUG = 72, 73, 74, 81
VERDICTS = {b"K": ACCEPTED, b"D": REFUSED, b"Z": DEFERRED}


class Failed(Exception):
    """The message is not queued; `code` says why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def qmqpc(call: Call) -> int:
    """The program."""
    try:
        addresses = servers(instance.of(call.env))
        return hand_over(addresses, read_request())
    except (Failed, envelope.BadEnvelope) as e:
        return e.code
    except MemoryError:
        return NO_MEMORY
    except Exception:
        return BUG  # temporary to all who run a queue program


def servers(home: instance.Instance) -> list[bytes]:
    """The addresses to try, in their order.  Raises Failed."""
    try:
        os.stat(home.home + b"/.")
    except OSError as e:
        raise Failed(NO_HOME) from e
    try:
        lines = Control(home.control).entries(b"qmqpservers") or []
    except OSError as e:
        raise Failed(NO_SERVER) from e
    return [address for address in map(address_of, lines) if address]


def address_of(line: bytes) -> bytes | None:
    """The address at the start of a line; None for a line that starts with none."""
    parts = line.split(b".", 3)
    if len(parts) == 4 and all(part.isdigit() for part in parts[:3]) and parts[3][:1].isdigit():
        return b".".join(b"%d" % (scan.number(part) & 0xFF) for part in parts)
    word = line.partition(b" ")[0]
    return ip.canonical(word.strip(b"[]")) if b":" in word else None


def read_request() -> list[bytes]:
    """Message and envelope as QMQP sends them.  Raises Failed or BadEnvelope."""
    reader = envelope.Reader()
    records = []
    try:
        message = list(streams.blocks(0))
        for block in streams.blocks(1):
            records.append(reader.feed(block))
            if reader.done:
                break
    except OSError as e:
        raise Failed(UNREADABLE) from e
    if not reader.done:
        raise envelope.BadEnvelope("envelope ends early")
    sender, *recipients = b"".join(records).split(b"\0")[:-1]
    return qmqp_client.request(message, sender[1:], [recipient[1:] for recipient in recipients])


def hand_over(addresses: Iterable[bytes], request: Sequence[bytes]) -> int:
    """The exit code, from the first server that can be reached.  Raises Failed."""
    outcome = NO_SERVER

    def result(_: bytes, error: int) -> None:
        nonlocal outcome
        outcome = SILENT if error == errno.ETIMEDOUT else UNREACHABLE

    for address in addresses:
        try:
            connection = racing.Race(CONNECT, lambda *_: None, result).run([address], PORT)
        except racing.NoSocket as e:
            raise Failed(NO_SOCKET) from e
        if connection is not None:
            try:
                return VERDICTS[converse(connection.socket.fileno(), request)]
            except (OSError, qmqp_client.NoVerdict) as e:
                raise Failed(BROKEN) from e
            finally:
                connection.socket.close()
    return outcome


def converse(fd: int, request: Sequence[bytes]) -> bytes:
    """Send it all, and wait for the verdict.  Raises OSError or NoVerdict."""
    for piece in request:
        streams.write_within(fd, piece, PROGRESS)
    reply = qmqp_client.Reply()
    while data := streams.read_within(fd, 1024, PROGRESS):
        if verdict := reply.feed(data):
            return verdict
    raise ConnectionResetError


main = PROGRAM.entry(qmqpc)
