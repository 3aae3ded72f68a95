"""The one way every program hands a message to the queue.  qmail-queue(8), section QMAILQUEUE of qmail-smtpd(8).

    submission = open_queue(call, instance)
    submission.write(...)                                       as often as there is something
    result = submission.close(sender, recipients)               b"" is success; else b"D..." or b"Z..." (qqtable)

QMAILQUEUE names the queue program, relative to the instance's home; without it that is bin/qmail-queue.  Is that our
own, or is there none, the message goes into the queue from this very process, or through qmail-queued where the
process may not write the queue.  Other queue programs of ours (Program.submission) work in this process as well.  Any
other program is spawned, with message on 0, envelope on 1, its error text on 6.

Errors of writing are remembered until close(): the envelope's end mark is then never sent, and nothing is queued."""

from __future__ import annotations

import errno
import os

from qmail.core import envelope, qqtable, queuedsocket
from qmail.core.queuedir import Arrival, Refused
from qmail.core.reception import Reception
from ucspi.core import chain, streams
from ucspi.core import signals as signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qmail.core.instance import Instance
    from ucspi.core.command import Call, Program

OWN = "qmail.queue"  # our queue program's module
DEFAULT = b"bin/qmail-queue"
CANNOT_EXEC = 120
NO_HOME = 61
TEXT_LIMIT = 256  # read from descriptor 6; of these 255 count


class Submission:
    """A message on its way to the queue.  `qp` is the number that people are told: the queue program's pid."""

    __slots__ = ("_failed", "qp")

    def __init__(self, qp: int) -> None:
        self.qp = qp
        self._failed = False

    def write(self, data: bytes) -> None:
        """Add to the message.  Never raises."""
        raise NotImplementedError

    def fail(self) -> None:
        """Let close() refuse the message, whatever comes yet."""
        self._failed = True

    def close(self, sender: bytes, recipients: Iterable[bytes]) -> bytes:
        """End the message, hand over the envelope; return the result."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Forget the message: nothing is queued, and nobody waits for anything."""
        raise NotImplementedError


class InProcess(Submission):
    """Into the queue from here."""

    __slots__ = ("_arrival", "_code")

    def __init__(self, reception: Reception) -> None:
        super().__init__(os.getpid())
        self._code = 0
        self._arrival: Arrival | None = None
        try:
            self._arrival = reception.arrival(os.getuid(), self.qp)
        except Refused as refused:
            self._code = refused.code

    def write(self, data: bytes) -> None:
        if self._arrival is None or self._failed:
            return
        try:
            self._arrival.write(data)
        except Refused as refused:
            self._arrival, self._code = None, refused.code

    def close(self, sender: bytes, recipients: Iterable[bytes]) -> bytes:
        if self._failed:
            self.abandon()
            return qqtable.READ_ERROR
        if self._arrival is None:
            return qqtable.result(self._code, True)
        arrival, self._arrival = self._arrival, None
        try:
            arrival.end_of_message()
            arrival.add_records(envelope.Reader().feed(envelope.pack(sender, recipients)))
            arrival.commit()
        except envelope.BadEnvelope as error:
            arrival.leave()
            return qqtable.result(error.code, True)
        except Refused as refused:
            return qqtable.result(refused.code, True)
        return b""

    def abandon(self) -> None:
        if self._arrival is not None:
            self._arrival.discard()
            self._arrival = None


class _Piped(Submission):
    """Through pipes to another process; `_message` and `_envelope` are their write ends."""

    __slots__ = ("_envelope", "_message")

    def __init__(self, qp: int, message: int, envelope_fd: int) -> None:
        super().__init__(qp)
        self._message = message
        self._envelope = envelope_fd

    def write(self, data: bytes) -> None:
        self._write(self._message, data)

    def close(self, sender: bytes, recipients: Iterable[bytes]) -> bytes:
        _close(self._message)  # the other side reads it to its end first
        if not self._failed:
            self._write(self._envelope, envelope.pack(sender, recipients))
        _close(self._envelope)
        return self._result()

    def _write(self, fd: int, data: bytes) -> None:
        if self._failed:
            return
        try:
            streams.write_all(fd, data)
        except OSError:
            self._failed = True

    def _result(self) -> bytes:
        raise NotImplementedError


class ThroughQueued(_Piped):
    """To qmail-queued."""

    __slots__ = ("_connection",)

    def __init__(self, instance: Instance) -> None:
        """Raises OSError if qmail-queued cannot be reached."""
        (message, our_message), (envelope_fd, our_envelope) = _pipes(2)
        super().__init__(os.getpid(), our_message, our_envelope)
        try:
            self._connection = queuedsocket.submit(queuedsocket.path(instance), message, envelope_fd)
        except OSError:
            _close(our_message, our_envelope)
            raise
        finally:
            _close(message, envelope_fd)

    def abandon(self) -> None:
        # qmail-queued sees an envelope without end: it has nothing to tell us.
        _close(self._message, self._envelope)
        self._connection.close()

    def _result(self) -> bytes:
        return qqtable.result(queuedsocket.answer(self._connection), not self._failed)


class Spawned(_Piped):
    """To a foreign queue program."""

    __slots__ = ("_text",)

    def __init__(self, call: Call, home: bytes, program: bytes) -> None:
        """Raises OSError if it cannot be started."""
        (message, our_message), (envelope_fd, our_envelope), (our_text, text) = _pipes(3)
        fds = {0: message, 1: envelope_fd, 6: text}

        def go_home() -> None:
            # Queue programs are written for the original, which ignores it: what they pipe the message through may
            # stop reading, and they go on.
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            try:
                os.chdir(home)
            except OSError:
                os._exit(NO_HOME)

        signal.hear_of_children()
        try:
            # No search in PATH, and argv[0] is the word as it was given.
            pid = call.chain.spawn(os.path.join(home, program), [program], call.env, fds, go_home)
        except OSError:
            _close(our_message, our_envelope, our_text)
            raise
        finally:
            _close(message, envelope_fd, text)
        super().__init__(pid, our_message, our_envelope)
        self._text = our_text

    def abandon(self) -> None:
        _close(self._message, self._envelope, self._text)
        try:
            os.waitpid(self.qp, os.WNOHANG)
        except OSError:
            pass

    def _result(self) -> bytes:
        try:
            text = streams.read_all(self._text, TEXT_LIMIT)
        except OSError:
            text = b""
        _close(self._text)
        try:
            status = os.waitpid(self.qp, 0)[1]
        except OSError:
            return qqtable.SURPRISE
        return qqtable.verdict(status, not self._failed, text)


class Unstartable(Submission):
    """What there is instead of a submission when its end is known before it begins."""

    __slots__ = ("_code",)

    def __init__(self, code: int) -> None:
        super().__init__(os.getpid())
        self._code = code

    def write(self, data: bytes) -> None:
        pass

    def close(self, sender: bytes, recipients: Iterable[bytes]) -> bytes:
        return qqtable.result(self._code, False)

    def abandon(self) -> None:
        pass


def open_queue(call: Call, instance: Instance) -> Submission:
    """Start to hand in a message.  Raises OSError where no process or pipe can be had (`unable to fork`)."""
    given = call.env.get(b"QMAILQUEUE")
    module = _module(instance.home, given)
    if module != OWN:
        start = None if module is None or call.env.get(chain.EXEC) else _submission(module)
        if start is not None:
            return start(call, instance)
        try:
            return Spawned(call, instance.home, DEFAULT if given is None else given)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE):
                raise
            return Unstartable(CANNOT_EXEC)
    reception = Reception(instance)
    try:
        if reception.may_write:
            return InProcess(reception)
    except Refused as refused:
        return Unstartable(refused.code)
    try:
        return ThroughQueued(instance)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        return Unstartable(queuedsocket.UNREACHABLE)


def _module(home: bytes, given: bytes | None) -> str | None:
    """The module of ours that is the queue program; None if it is foreign.

    An original one in bin/ is used even if nobody names it."""
    file = os.path.join(home, DEFAULT if given is None else given)
    if given is None and not os.path.lexists(file):
        return OWN
    return chain.module_of(file) if given != b"" else None


def _submission(module: str) -> Callable[[Call, Instance], Submission] | None:
    """How that program is used without a process; None if it cannot be."""
    try:
        program: Program = chain.load(module).program  # type: ignore[attr-defined]
    except OSError:
        return None  # broken: the process that is started instead says how
    return program.submission  # type: ignore[return-value]


def _pipes(count: int) -> list[tuple[int, int]]:
    pipes: list[tuple[int, int]] = []
    try:
        while len(pipes) < count:
            pipes.append(os.pipe())
    except OSError:
        _close(*[fd for ends in pipes for fd in ends])
        raise
    return pipes


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)
