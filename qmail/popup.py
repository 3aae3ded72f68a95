"""Ask a POP3 client who it is, and let checkpassword judge.  qmail-popup(8).

Talks on descriptors 0 and 1 up to PASS or APOP, then starts the subprogram, which reads user, password and stamp on
descriptor 3 and, if it likes them, goes on with the session on descriptors 0 and 1.

NOAPOP in the environment, with any value, takes the stamp out of the greeting: many clients, curl for one, insist on
APOP where they see a stamp, and a subprogram that knows hashes only can never accept that.

Always exits 1."""

from __future__ import annotations

import _socket
import errno
import os
import time

from qmail.protocol import pop3_login as pop3
from qmail.protocol.commandline import LineTooLong
from ucspi.core import streams
from ucspi.core.command import Call, Program

IDLE = 1200  # seconds that a client may be silent, or take nothing
DISCARDS = 16  # blocks of what a client still says when all is over; who floods us gets his reset
PROGRAM = Program(
    "qmail-popup",
    __doc__,
    usage="popup hostname subprogram",
    operands="HOSTNAME SUBPROGRAM [ARG ...]",
    preload=("fcntl",),  # for starting the subprogram
)

# The one thing that outlives a connection: a pool worker serves many clients with one pid, and RFC 1939 wants each
# greeting's stamp different from all others.  So a second client in the same second gets the next second's.
_last_stamp = [0]


def stamp_time(now: int) -> int:
    """The time to put into the next greeting."""
    _last_stamp[0] = max(now, _last_stamp[0] + 1)
    return _last_stamp[0]


class Input:
    """Descriptor 0, of which never more than one line is taken at once: what a client sends behind PASS, without
    waiting for the answer, is for the subprogram (and lost in the original)."""

    __slots__ = ("_socket",)

    def __init__(self) -> None:
        self._socket: _socket.socket | None = None
        try:
            self._socket = _socket.socket(fileno=0)
        except OSError:
            pass  # a pipe or a terminal

    def line(self) -> bytes:
        """At most one line; a part of one if no more has come, b"" at the end.  Raises OSError."""
        if self._socket is None:
            return streams.read_within(0, 1, IDLE)
        while True:
            streams.wait_readable(0, IDLE)
            try:
                ready = self._socket.recv(512, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
            return os.read(0, ready.find(b"\n") + 1 or len(ready)) if ready else b""

    def discard(self) -> None:
        """Throw away what is there already.  A socket that is closed with something unread resets the connection, and
        the client might never see our last words."""
        if self._socket is None:
            return
        try:
            for _ in range(DISCARDS):
                if not self._socket.recv(streams.BLOCK, _socket.MSG_DONTWAIT):
                    return
        except OSError:
            pass

    def release(self) -> None:
        """Leave descriptor 0 open to those who come after."""
        if self._socket is not None:
            self._socket.detach()


def say(text: bytes) -> None:
    """Send a reply.  Raises OSError."""
    if text:
        streams.write_within(1, text, IDLE)


def login(client: Input, hostname: bytes, apop: bool) -> bytes | None:
    """The dialogue.  Returns the bytes for descriptor 3, or None if the client leaves.  Raises OSError, LineTooLong."""
    dialogue = pop3.Login(hostname, os.getpid(), stamp_time(int(time.time())), apop=apop)
    say(dialogue.greeting)
    while not dialogue.finished and (data := client.line()):
        say(dialogue.receive(data))
    return dialogue.credentials


def offer(credentials: bytes) -> int:
    """A pipe with the credentials in it.  Returns its read end; raises BlockingIOError if they do not fit, OSError.

    Two bounded lines and the stamp always fit into a pipe of the usual size.  Written before there is a reader, they
    keep nobody waiting, and a subprogram that does not care to read them is judged by its status alone."""
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        if os.write(writer, credentials) != len(credentials):
            raise BlockingIOError(errno.EAGAIN, "pipe is full")
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return reader


def judge(call: Call, credentials: bytes) -> bytes:
    """Run the subprogram to its end.  Returns what the client is still to be told: nothing, if it was served."""
    try:
        reader = offer(credentials)
    except BlockingIOError:
        return pop3.NO_WRITE
    except OSError:
        return pop3.NO_PIPE
    try:
        pid = call.spawn(call.operands[1:], fds={3: reader})
    except OSError as e:
        return pop3.NO_FORK if e.errno in (errno.EAGAIN, errno.ENOMEM) else pop3.REJECTED
    finally:
        os.close(reader)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return pop3.CRASHED
    return pop3.REJECTED if status else b""


def popup(call: Call) -> int:
    """The program."""
    client = Input()
    try:
        if len(call.operands) < 2:
            say(pop3.USAGE)
        elif credentials := login(client, call.operands[0], b"NOAPOP" not in call.env):
            verdict = judge(call, credentials)
            if not verdict:
                return 1  # the subprogram has had the last word
            say(verdict)
        client.discard()
    except (OSError, LineTooLong):
        pass  # the client is gone, or ought to be
    finally:
        client.release()
    return 1


main = PROGRAM.entry(popup)
