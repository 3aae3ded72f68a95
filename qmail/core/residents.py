"""Children that have become a user and run one program for him several times, one run after the other.

A fork costs more than a delivery into a maildir does.  So a child that has delivered may stay for the next one, but
only as long as nobody could tell it from a fresh one: after a run that failed, that had children of its own (so any
that ran a user's program), or that left a descriptor or a signal handler behind, it ends.  It serves one uid and gid in
all its life, and what is between two runs of a program here, nothing but this module's loop, is the same in both.

Parent and child talk over a socket that keeps records apart:

    to the child   argv, joined by 0x00; with it two descriptors: the message, and where the report goes
    to the parent  exit code: 1 byte     stays: 1 byte, 0 or 1          none at all: it died, see its wait status"""

from __future__ import annotations

import os
import resource
from _socket import (
    AF_UNIX,
    CMSG_SPACE,
    MSG_CMSG_CLOEXEC,
    MSG_DONTWAIT,
    SCM_RIGHTS,
    SOCK_SEQPACKET,
    SOL_SOCKET,
    socket,
    socketpair,
)
from _struct import calcsize, pack, unpack

from qmail.core.spawn import Child
from ucspi.core import chain
from ucspi.core import signals as signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ucspi.core.chain import Main

LIFE = 1000  # runs; then a fresh child, whatever a program may have leaked: a fork and an exit are 10 ms
IDLE = 40  # children kept waiting, for different users perhaps; for less than two seconds if it is quiet
LARGEST = 65536  # bytes of argv
SOCKET = 3  # the child's descriptor
LOST = 118 << 8  # wait status of a child that ended well and yet gave no answer: temporary

Key = tuple[int, int]  # uid, gid


class Resident(Child):
    """One such child."""

    __slots__ = ("_residents", "key", "socket")

    def __init__(self, pid: int, key: Key, connection: socket, residents: Residents) -> None:
        super().__init__(pid)
        self.key, self.socket, self._residents = key, connection, residents

    def hand(self, argv: list[bytes], message: int, output: int) -> None:
        """Have it run once more.  OSError if it cannot be told."""
        self.socket.sendmsg([b"\0".join(argv)], [(SOL_SOCKET, SCM_RIGHTS, pack("ii", message, output))])

    def status(self) -> int | None:
        try:
            reply = self.socket.recv(2, MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            reply = b""
        if len(reply) == 2:
            self._residents.ran(self, bool(reply[1]))
            return reply[0] << 8
        self.socket.close()
        # Its socket is closed, so it is at its very end: this does not wait for long.
        return os.waitpid(self.pid, 0)[1] or LOST

    def event(self) -> int:
        return os.dup(self.socket.fileno())


class Residents:
    """The children of one spawn program, called `name`, by the user they have become; at most `idle` of them wait."""

    def __init__(
        self, main: Main, env: Mapping[bytes, bytes], home: bytes, name: bytes = b"qmail-lspawn", idle: int = IDLE
    ) -> None:
        self._main, self._env, self._home = main, dict(env), home
        self._name, self._most = name, idle
        self._idle: list[Resident] = []  # the longest idle first
        self._leaving: list[int] = []  # pids that are yet to be waited for

    def start(self, key: Key, become: Callable[[], None], argv: list[bytes], message: int, output: int) -> Child:
        """Run main with this argv as that user; `become` makes a new child his.  Raises OSError."""
        self._reap()
        for resident in reversed(self._idle):
            if resident.key == key:
                self._idle.remove(resident)
                try:
                    resident.hand(argv, message, output)
                    return resident
                except OSError:  # killed while it waited; nothing was lost with it
                    self._dismiss(resident)
        resident = self._new(key, become)
        try:
            resident.hand(argv, message, output)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it could not become that user, and is dead already: its wait status says why
        except OSError:
            self._dismiss(resident)
            raise
        return resident

    def ran(self, resident: Resident, stays: bool) -> None:
        """Hear from a child that its run is over."""
        if not stays:
            self._dismiss(resident)
            return
        self._idle.append(resident)
        if len(self._idle) > self._most:
            self._dismiss(self._idle.pop(0))

    def rest(self) -> bool:
        """Let all idle children go; True while there are any left to be waited for."""
        while self._idle:
            self._dismiss(self._idle.pop())
        self._reap()
        return bool(self._leaving)

    def _new(self, key: Key, become: Callable[[], None]) -> Resident:
        ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET)
        null = os.open(os.devnull, os.O_RDWR)
        try:
            fds = {0: null, 1: null, 2: null, SOCKET: theirs.fileno()}
            return Resident(chain.fork(self._serve, [self._name], self._env, fds, become), key, ours, self)
        finally:
            os.close(null)
            theirs.close()

    def _dismiss(self, resident: Resident) -> None:
        resident.socket.close()
        self._leaving.append(resident.pid)

    def _reap(self) -> None:
        self._leaving = [pid for pid in self._leaving if Child(pid).status() is None]

    def _serve(self, argv: list[bytes], env: dict[bytes, bytes], how: chain.Process) -> int:
        """What the child does: its main, in the trampoline's sense."""
        connection = socket(fileno=SOCKET)
        os.set_inheritable(SOCKET, False)  # not for the programs of users
        null = os.open(os.devnull, os.O_RDWR)
        fresh = _state()
        for life in range(LIFE, 0, -1):
            words, ancillary, _, _ = connection.recvmsg(LARGEST, CMSG_SPACE(calcsize("ii")), MSG_CMSG_CLOEXEC)
            if not words:
                break
            message, output = unpack("ii", ancillary[0][2])
            for source, target in ((message, 0), (output, 1), (output, 2)):
                os.dup2(source, target)
            os.close(message)
            os.close(output)
            code = how.run(self._main, words.split(b"\0"), env)
            os.chdir(self._home)
            stays = code == 0 and life > 1 and _state() == fresh
            # The answer before the end of the report: then it is there when the parent looks for it.
            connection.send(bytes((code & 255, stays)))
            if not stays:
                break
            for target in (0, 1, 2):
                os.dup2(null, target)
        return 0


def _state() -> tuple[object, ...]:
    """What must be after a run as it was before it."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
    lowest = os.dup(SOCKET)  # whatever was left open has taken the lowest number there was
    os.close(lowest)
    return children, lowest, signal.getsignal(signal.SIGALRM), os.getresuid(), os.getresgid()
