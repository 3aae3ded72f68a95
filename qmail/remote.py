"""Hand a message to another host by SMTP.  qmail-remote(8).

qmail-remote HOST SENDER RECIPIENT... reads the message from descriptor 0 and reports on descriptor 1, in items that end
in 0x00: r, h or s for each recipient, then K, Z or D for the message.  It always exits 0: whatever happens is a report.

Reads control/helohost, smtproutes, timeoutconnect and timeoutremote; shares queue/lock/tcpto with its siblings."""

from __future__ import annotations

import _socket
import errno
import os
import select
import time

from qmail.core import dnsanswers, instance, ipme, mx
from qmail.core.control import Control, keymap
from qmail.core.tcpto import Table
from qmail.protocol.smtp_body import BodyEncoder
from qmail.protocol.smtp_client import Dialogue
from ucspi.core import streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import Failure, PermanentFailure, TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PARTIAL = b"DSMTP cannot transfer messages with partial final lines. (#5.6.2)\n"
UNREADABLE = b"ZUnable to read message. (#4.3.0)\n"
BLOCK = 65536

PROGRAM = Program(
    "qmail-remote",
    __doc__,
    operands="HOST SENDER RECIPIENT...",
    preload=(*dnsanswers.MODULES, "setproctitle"),
    title=True,
)


class Settings:
    """What the control files say."""

    __slots__ = ("helo", "routes", "timeout_connect", "timeout_remote")

    def __init__(self, control: Control) -> None:
        self.timeout_remote = control.number(b"timeoutremote", 1200)
        self.timeout_connect = control.number(b"timeoutconnect", 60)
        helo = control.line(b"helohost", me=True)
        if helo is None:
            raise FileNotFoundError(errno.ENOENT, "neither helohost nor me")
        self.helo = helo
        self.routes = keymap(control.entries(b"smtproutes") or ())


class Connection:
    """A host that answered."""

    __slots__ = ("address", "socket")

    def __init__(self, address: bytes, socket: _socket.socket) -> None:
        self.address, self.socket = address, socket


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
    settings = _settings(here)
    route = mx.route(host, settings.routes)
    table = Table(here.path(b"queue", b"lock", b"tcpto"))
    connection = _connect(_candidates(call, host, route), route.port if route else mx.PORT, settings, table)
    dialogue = Dialogue(connection.address, settings.helo, sender, recipients)
    try:
        converse(dialogue, connection.socket.fileno(), settings.timeout_remote)
    finally:
        connection.socket.close()
    return dialogue.report


def _settings(here: instance.Instance) -> Settings:
    try:
        os.stat(here.home + b"/.")
    except OSError:
        raise TemporaryFailure("Unable to switch to home directory. (#4.3.0)") from None
    try:
        return Settings(Control(here.control))
    except OSError:
        raise TemporaryFailure("Unable to read control files. (#4.3.0)") from None


def _no_resources() -> TemporaryFailure:
    return TemporaryFailure("System resources temporarily unavailable. (#4.3.0)")


def _candidates(call: Call, host: bytes, route: mx.Route | None) -> Iterator[bytes]:
    answers = dnsanswers.SystemAnswers(call.env)
    if route:
        return mx.relays(route.relay, answers)
    try:
        return mx.candidates(host, answers, ipme.addresses())
    except OSError:
        raise _no_resources() from None


def _connect(candidates: Iterator[bytes], port: int, settings: Settings, table: Table) -> Connection:
    """The first candidate that accepts a connection; whatever it says then is final."""
    for address in candidates:
        if table.avoids(address, int(time.time()), os.getpid()):
            continue
        socket = _socket_for(address)
        if socket is None:
            continue
        error = _try(socket, address, port, settings.timeout_connect)
        if error == errno.ETIMEDOUT:
            table.timed_out(address, int(time.time()))
        else:
            table.answered(address)
        if not error:
            return Connection(address, socket)
        socket.close()
    raise TemporaryFailure("Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)")


def _socket_for(address: bytes) -> _socket.socket | None:
    """A non-blocking socket; None if this machine does not speak that address's protocol at all."""
    try:
        socket = _socket.socket(_socket.AF_INET6 if b":" in address else _socket.AF_INET, _socket.SOCK_STREAM, 0)
        socket.setblocking(False)
        # The final dot must not wait until the body before it is acknowledged.
        socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    except OSError as e:
        if e.errno == errno.EAFNOSUPPORT:
            return None
        raise _no_resources() from None
    return socket


def _try(socket: _socket.socket, address: bytes, port: int, timeout: float) -> int:
    """Connect.  0, or the errno of what went wrong."""
    error = socket.connect_ex((address.decode(), port))
    if error != errno.EINPROGRESS:
        return error
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLOUT)
    if not poll.poll(timeout * 1000):
        return errno.ETIMEDOUT
    return socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)


def converse(dialogue: Dialogue, fd: int, timeout: float) -> None:
    """Lead the dialogue on a connected descriptor to its end; the message comes from descriptor 0."""
    try:
        while not dialogue.finished:
            for output in dialogue.receive(streams.read_within(fd, 4096, timeout)):
                if not isinstance(output, bytes):
                    _send_message(dialogue, fd, timeout)
                elif dialogue.finished:
                    os.write(fd, output)  # QUIT: goes out at once or not at all
                else:
                    streams.write_within(fd, output, timeout)
    except OSError:
        dialogue.lost()


def _send_message(dialogue: Dialogue, fd: int, timeout: float) -> None:
    """The message and its final dot.  One block is held back, so that the dot rides with the last."""
    encoder = BodyEncoder()
    wire = b""
    while True:
        try:
            block = streams.read_some(0, BLOCK)
        except OSError:
            dialogue.give_up(UNREADABLE)
            return
        if not block:
            break
        streams.write_within(fd, wire, timeout)
        wire = encoder.encode(block)
    if encoder.partial:
        dialogue.give_up(PARTIAL)
        return
    dialogue.dot_sent()
    streams.write_within(fd, wire + encoder.finish(), timeout)


main = PROGRAM.entry(remote)
