"""Run qmail-remote for the deliveries qmail-send asks for.  qmail-rspawn(8).

Commands come on descriptor 0, reports go out on descriptor 1 (spawnproto).  QMAILREMOTE names another program to run.
Starting means a new chance for every host: queue/lock/tcpto is zeroed.

qmail-remote runs in a fork of this process, which has loaded all it needs: no interpreter is started per delivery."""

from __future__ import annotations

import errno
import gc
import os

from qmail.core import instance, remotereport
from qmail.core.spawn import Delivery, Spawner
from qmail.core.spawnproto import Command
from qmail.core.tcpto import SIZE
from ucspi.core import chain
from ucspi.core.command import Call, Program

PROGRAM = Program("qmail-rspawn", __doc__, title=True)
NO_PROCESS = (errno.EAGAIN, errno.ENOMEM)  # what fork says


class RemoteDelivery(Delivery):
    """One recipient on another host."""

    __slots__ = ("call",)

    def __init__(self, command: Command, call: Call) -> None:
        super().__init__(command)
        self.call = call

    def start(self, message: int, output: int) -> int | bytes:
        """Run qmail-remote HOST SENDER RECIPIENT; a program that is not there is no reason to bounce mail."""
        recipient = self.command.recipient
        argv = [program(self.call), recipient.rpartition(b"@")[2], self.command.sender, recipient]
        try:
            return self.call.spawn(argv, fds={0: message, 1: output, 2: output})
        except OSError as e:
            if e.errno in NO_PROCESS:
                raise
            return remotereport.UNABLE_NOW

    def finish(self, status: int, output: bytes) -> bytes:
        """Make one report of qmail-remote's items."""
        return remotereport.delivery(status, output)


def program(call: Call) -> bytes:
    """What to run."""
    return call.env.get(b"QMAILREMOTE", b"qmail-remote")


def forget_timeouts(path: bytes) -> None:
    """Zero the table of hosts that timed out, if there is one."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(fd, bytes(SIZE))
    except OSError:
        pass
    finally:
        os.close(fd)


def rspawn(call: Call) -> int:
    """Serve qmail-send until it closes descriptor 0."""
    here = instance.of(call.env)
    try:
        os.chdir(here.path(b"queue", b"mess"))
    except OSError:
        return 111
    owner = here.owner
    forget_timeouts(here.path(b"queue", b"lock", b"tcpto"))
    chain.preload([program(call)], call.path)
    gc.freeze()  # what is loaded stays shared with the forks
    return Spawner(owner, lambda command: RemoteDelivery(command, call)).run()


main = PROGRAM.entry(rspawn)
