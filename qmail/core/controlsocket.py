"""hold/ctl, where qmail-send takes requests of qmail-qctl between two turns.  qmail-qctl(8); packets: intervention.

The directory lets in root and qmail-send's own user, and the kernel is asked who calls all the same.  Nothing here
waits: a caller that does not take its answers is hung up on, and what one turn does for callers is bounded."""

from __future__ import annotations

import os
import select
import socket
import struct

from qmail.core import hold
from qmail.core.intervention import PACKET, SOCKET, address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmail.core.queuedir import Queue

CALLERS = 8  # connections at a time


class ControlSocket:
    """The listening socket and its callers.  Without a directory hold/ there is none, and all else works."""

    def __init__(self, queue: Queue) -> None:
        """Only who has the mutex may do this: it removes the socket of the qmail-send before."""
        self._callers: dict[int, tuple[socket.socket, int]] = {}
        self._directory = -1
        self._socket: socket.socket | None = None
        try:
            if not os.path.isdir(queue.at(hold.DIRECTORY)):
                os.mkdir(queue.at(hold.DIRECTORY), 0o700)  # a single-user instance; elsewhere qmail-start has made it
            self._directory = os.open(queue.at(hold.DIRECTORY), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self._listen()
        except OSError:
            self.close()

    def _listen(self) -> None:
        try:
            os.unlink(SOCKET, dir_fd=self._directory)
        except FileNotFoundError:
            pass
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self._socket.bind(address(self._directory))
        self._socket.listen(CALLERS)

    def register(self, poll: select.poll) -> None:
        """Have poll(2) wake for callers."""
        if self._socket and len(self._callers) < CALLERS:
            poll.register(self._socket, select.POLLIN)
        for fd in self._callers:
            poll.register(fd, select.POLLIN)

    def serve(self, ready: set[int], answer: Callable[[bytes, int], bytes]) -> None:
        """Take one packet of each caller that has one, and let new callers in.  `answer(packet, uid)` does the work."""
        for fd in [fd for fd in self._callers if fd in ready]:
            self._serve(fd, answer)
        if self._socket and self._socket.fileno() in ready:
            self._accept()

    def close(self) -> None:
        """Hang up, and be gone."""
        for fd in list(self._callers):
            self._hang_up(fd)
        if self._socket:
            self._socket.close()
            self._socket = None
            try:
                os.unlink(SOCKET, dir_fd=self._directory)
            except OSError:
                pass
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def _accept(self) -> None:
        assert self._socket
        try:
            caller, _ = self._socket.accept()
        except OSError:
            return
        uid = peer(caller)
        if uid not in (0, os.geteuid()):
            caller.close()
            return
        caller.setblocking(False)
        self._callers[caller.fileno()] = caller, uid

    def _serve(self, fd: int, answer: Callable[[bytes, int], bytes]) -> None:
        caller, uid = self._callers[fd]
        try:
            packet = caller.recv(PACKET)
            if not packet:
                self._hang_up(fd)
                return
            caller.send(answer(packet, uid))
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up(fd)

    def _hang_up(self, fd: int) -> None:
        self._callers.pop(fd)[0].close()


def peer(connection: socket.socket) -> int:
    """uid of who is at the other end."""
    _, uid, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)
