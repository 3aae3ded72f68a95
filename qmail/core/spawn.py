"""What qmail-lspawn and qmail-rspawn have in common: commands in, one child process a delivery, reports out.

A program names its kind of delivery (a subclass of Delivery) and runs `Spawner(...).run()`.  Per delivery there is one
pipe; the child gets the message on descriptor 0 and the pipe's other end as its output.  The report goes out when the
pipe is at its end *and* the child has been waited for: a process left in the background that still holds the pipe
delays it, so that nothing is called delivered while something may still be said about it."""

from __future__ import annotations

import os
import select
import stat

from qmail.core.spawnproto import LIMIT, Command, CommandReader, pack_report
from ucspi.core.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

TOO_LONG = b"\nError report too long, sorry.\n"
TICK = 10  # milliseconds between looks at a dying child where the system has no pidfd


PAUSE = 2000  # milliseconds of quiet after which `rest` is called


class Child:
    """The process of a delivery, as the loop sees it."""

    __slots__ = ("pid",)

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def status(self) -> int | None:
        """Its wait status, or None while it still runs; never waits."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return 127 << 8  # somebody else waited for it: unknown, so to be tried again
        return status if pid else None

    def event(self) -> int:
        """A descriptor, the caller's to close, that is readable once there is a status.  Raises OSError."""
        try:
            return os.pidfd_open(self.pid)
        except AttributeError as e:
            raise OSError("no pidfd") from e


class Delivery:
    """One delivery under way.  A spawn program says in a subclass how it starts and what its end means."""

    __slots__ = ("command",)

    def __init__(self, command: Command) -> None:
        self.command = command

    def start(self, message: int, output: int) -> int | bytes | Child:
        """Start a child that reads `message` and writes to `output`; return it, or its pid.

        Where no child is needed, return the report (letter and text) instead.  OSError: no process to be had."""
        raise NotImplementedError

    def finish(self, status: int, output: bytes) -> bytes | None:
        """Turn wait status and output into the report (letter and text); None: start() is to be called once more."""
        raise NotImplementedError


class _Slot:
    """A delnum in use: its child, and what the child has said so far."""

    __slots__ = ("child", "delivery", "delnum", "ended", "fd", "message", "output")

    def __init__(self, delnum: int, delivery: Delivery, message: int) -> None:
        self.delnum, self.delivery, self.message = delnum, delivery, message
        self.fd = -1
        self.child = Child(0)
        self.output = bytearray()
        self.ended = False  # the pipe is closed, the child not yet waited for


class Spawner:
    """The loop.  `owner` is who must own a message file, `truncate` the longest output kept (None: all of it).

    `rest` is called when nothing has happened for a while, again and again until it returns False."""

    def __init__(
        self,
        owner: int,
        make: Callable[[Command], Delivery],
        truncate: int | None = None,
        rest: Callable[[], bool] | None = None,
    ) -> None:
        self.owner, self.make, self.truncate, self.rest = owner, make, truncate, rest
        self._restless = False
        self._reader = CommandReader()
        self._reading = self._writing = True
        self._busy: dict[int, _Slot] = {}  # by delnum
        self._slots: dict[int, _Slot] = {}  # by the descriptor that tells of the slot's next event
        self._unwatched: list[_Slot] = []  # ended, and no descriptor to tell when the child is gone
        self._poll = select.poll()

    def run(self) -> int:
        """Serve commands from descriptor 0 in the directory queue/mess until its end; return the exit code."""
        self._send(bytes((LIMIT,)))
        self._poll.register(0, select.POLLIN)
        while self._reading or self._busy:
            events = self._poll.poll(self._patience())
            if events:
                self._restless = self.rest is not None
            elif self.rest is not None and not self._unwatched:
                self._restless = self.rest()
            for fd, _ in events:
                if fd:
                    self._event(self._slots[fd])
                else:
                    self._read_commands()
            for slot in self._unwatched[:]:
                self._reap(slot)
        return 0

    def _patience(self) -> int | None:
        if self._unwatched:
            return TICK
        return PAUSE if self._restless else None

    def _read_commands(self) -> None:
        try:
            data = os.read(0, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._reading = False
            self._poll.unregister(0)
        for command in self._reader.feed(data):
            self._begin(command)

    def _begin(self, command: Command) -> None:
        if error := self._objection(command):
            self._report(command.delnum, error)
            return
        message = self._open(command.messid)
        if isinstance(message, bytes):
            self._report(command.delnum, message)
            return
        self._start(_Slot(command.delnum, self.make(command), message))

    def _objection(self, command: Command) -> bytes | None:
        """What is wrong with the command itself."""
        if command.delnum >= LIMIT:
            return b"ZInternal error: delnum too big. (#4.3.5)\n"
        if command.delnum in self._busy:
            return b"ZInternal error: delnum in use. (#4.3.5)\n"
        if command.messid.startswith(b"/") or command.messid.strip(b"0123456789/"):
            return b"DInternal error: messid has nonnumerics. (#5.3.5)\n"
        if len(command.messid) >= 100:
            return b"DInternal error: messid too long. (#5.3.5)\n"
        if not command.messid:
            return b"DInternal error: messid too short. (#5.3.5)\n"
        if b"@" not in command.recipient:
            return b"DSorry, address must include host name. (#5.1.3)\n"
        return None

    def _open(self, messid: bytes) -> int | bytes:
        """The message as a fresh descriptor at its start; or why not."""
        try:
            fd = os.open(messid, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return b"Zqmail-spawn unable to open message. (#4.3.0)\n"
        try:
            status = os.fstat(fd)
        except OSError:
            error = b"Zqmail-spawn unable to fstat message. (#4.3.0)\n"
        else:
            if not stat.S_ISREG(status.st_mode):
                error = b"ZSorry, message has wrong type. (#4.3.5)\n"
            elif status.st_uid != self.owner:
                error = b"ZSorry, message has wrong owner. (#4.3.5)\n"
            else:
                return fd
        os.close(fd)
        return error

    def _start(self, slot: _Slot) -> None:
        try:
            slot.fd, output = os.pipe()
        except OSError:
            self._settle(slot, b"Zqmail-spawn unable to create pipe. (#4.3.0)\n")
            return
        try:
            started = slot.delivery.start(slot.message, output)
        except OSError:
            started = b"Zqmail-spawn unable to fork. (#4.3.0)\n"
        finally:
            os.close(output)
        if isinstance(started, bytes):
            os.close(slot.fd)
            self._settle(slot, started)
            return
        slot.child, slot.ended = Child(started) if isinstance(started, int) else started, False
        self._busy[slot.delnum] = slot
        self._watch(slot)

    def _watch(self, slot: _Slot) -> None:
        self._slots[slot.fd] = slot
        self._poll.register(slot.fd, select.POLLIN)

    def _unwatch(self, slot: _Slot) -> None:
        del self._slots[slot.fd]
        self._poll.unregister(slot.fd)
        os.close(slot.fd)

    def _event(self, slot: _Slot) -> None:
        if slot.ended:
            self._unwatch(slot)
            self._reap(slot)
        elif data := os.read(slot.fd, 4096):
            self._collect(slot, data)
        else:
            self._unwatch(slot)
            slot.ended = True
            self._reap(slot)

    def _collect(self, slot: _Slot, data: bytes) -> None:
        if self.truncate is None:
            slot.output += data
            return
        # In steps of 128 bytes as the original's reads: it cuts after each, so a very long output is cut many times
        # and its last step shows behind the apology.
        for at in range(0, len(data), 128):
            slot.output += data[at : at + 128]
            if len(slot.output) > self.truncate:
                del slot.output[self.truncate - len(TOO_LONG) - 3 :]
                slot.output += TOO_LONG

    def _reap(self, slot: _Slot) -> None:
        """Wait for a child that closed its output.  It is nearly always gone already; if not, be told when it is."""
        if slot in self._unwatched:
            self._unwatched.remove(slot)
        status = slot.child.status()
        if status is not None:
            self._finish(slot, status)
            return
        try:
            slot.fd = slot.child.event()
        except OSError:
            self._unwatched.append(slot)
        else:
            self._watch(slot)

    def _finish(self, slot: _Slot, status: int) -> None:
        output = bytes(slot.output)
        slot.output.clear()
        report = slot.delivery.finish(status, output)
        if report is None:
            os.lseek(slot.message, 0, os.SEEK_SET)
            self._start(slot)
        else:
            self._settle(slot, report)

    def _settle(self, slot: _Slot, report: bytes) -> None:
        os.close(slot.message)
        self._busy.pop(slot.delnum, None)
        self._report(slot.delnum, report)

    def _report(self, delnum: int, report: bytes) -> None:
        self._send(pack_report(delnum, report[:1], report[1:]))

    def _send(self, data: bytes) -> None:
        if self._writing:
            try:
                write_all(1, data)
            except OSError:  # qmail-send is gone: the deliveries under way still finish, for nobody to hear
                self._writing = False
