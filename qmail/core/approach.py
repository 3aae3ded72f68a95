"""qmail-qctl's way to a queue: through the qmail-send that runs, or, where none does, with its mutex.  qmail-qctl(8).

Both take a request and give the answer (qmail.core.intervention).  There is no third way: while a qmail-send that does
not listen, such as the C one, runs, nobody else may touch its messages."""

from __future__ import annotations

import os
import time

from qmail.core import hold, intervention, queuefiles
from qmail.core.control import Control
from qmail.core.hold import Holds
from qmail.core.intervening import Interventions
from qmail.core.settings import Settings
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Sequence

    from qmail.core.instance import Instance
    from qmail.core.queuedir import Queue

START = 3.0  # seconds that a qmail-send may take from its mutex to its socket
PATIENCE = 60.0  # seconds for qmail-send to come round to us: it may be waiting until a bounce is queued


class Running:
    """A qmail-send that listens."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def ask(self, packet: bytes) -> bytes:
        """Raises TemporaryFailure."""
        try:
            self._connection.send(packet)
            answer = self._connection.recv(intervention.PACKET)
        except TimeoutError:
            raise TemporaryFailure("qmail-send does not answer") from None
        except OSError:
            answer = b""
        if not answer:
            raise TemporaryFailure("qmail-send has hung up")
        return answer

    def close(self) -> None:
        self._connection.close()


class Stopped:
    """A queue without a qmail-send.  We have its mutex until close(), so that none starts."""

    def __init__(self, home: Instance, queue: Queue) -> None:
        """Raises BlockingIOError if there is one after all, OSError, or TemporaryFailure."""
        settings = Settings(Control(home.control))
        _make_room(queue)
        _become(queue)
        self._mutex = queuefiles.take_mutex(queue)
        self._queue = queue
        self.holds = Holds(queue)
        self.holds.load()
        self._interventions = Interventions(queue, self, None, settings, lambda _: None)

    def ask(self, packet: bytes) -> bytes:
        return self._interventions.answer(packet, os.geteuid(), int(time.time()))

    def bring_forward(self, numbers: Sequence[Collection[int]], now: int) -> None:
        """As the schedule of a qmail-send, which reads these times at its start."""
        for channel, chosen in zip((queuefiles.LOCAL, queuefiles.REMOTE), numbers, strict=False):
            for number in chosen:
                try:
                    queuefiles.set_next_attempt(self._queue, channel, number, now)
                except FileNotFoundError:
                    continue

    def through(self, numbers: Sequence[Collection[int]], now: int) -> None:
        """Nothing to do: the next qmail-send sees which files there are."""

    def close(self) -> None:
        os.close(self._mutex)


def find(home: Instance, queue: Queue) -> Running | Stopped:
    """The way there is.  Raises OSError or TemporaryFailure."""
    deadline = time.monotonic() + START
    while True:
        try:
            return Running(_call(queue))
        except PermissionError:
            raise TemporaryFailure("only root and qmail-send's own user may do this") from None
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        try:
            return Stopped(home, queue)
        except BlockingIOError:
            if time.monotonic() > deadline:
                name = os.fsdecode(queue.at(b"/".join((hold.DIRECTORY, intervention.SOCKET))))
                raise TemporaryFailure(f"qmail-send runs, but does not listen on {name}") from None
            time.sleep(0.05)  # one that is just starting has the mutex before it listens


def _call(queue: Queue) -> socket.socket:
    import socket

    directory = os.open(queue.at(hold.DIRECTORY), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.settimeout(PATIENCE)
            connection.connect(intervention.address(directory))
        except OSError:
            connection.close()
            raise
        return connection
    finally:
        os.close(directory)


def _make_room(queue: Queue) -> None:
    """hold/, where a C installation has none, and we are root or the owner of all."""
    about = os.stat(queue.at(b"info"))
    try:
        os.mkdir(queue.at(hold.DIRECTORY), 0o700)
        os.chown(queue.at(hold.DIRECTORY), about.st_uid, about.st_gid)
    except (FileExistsError, PermissionError):
        return


def _become(queue: Queue) -> None:
    """As root: become qmail-send's user, to whom all that is written here has to belong."""
    about = os.stat(queue.at(b"info"))
    if os.geteuid() == 0 and about.st_uid != 0:
        os.setgroups([about.st_gid])
        os.setgid(about.st_gid)
        os.setuid(about.st_uid)
