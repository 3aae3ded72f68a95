"""Run qmail-remote for the deliveries qmail-send asks for.  qmail-rspawn(8).

Commands come on descriptor 0, reports go out on descriptor 1 (spawnproto).  QMAILREMOTE names another program to run.
Starting means a new chance for every host: queue/lock/tcpto is zeroed.

Our own qmail-remote runs in forks of this process, which have loaded all it needs and serve one delivery after the
other: no interpreter is started, and no process made, for each."""

from __future__ import annotations

import errno
import gc
import os

from qmail.core import instance, remotereport, residents
from qmail.core.spawn import Child, Delivery, Spawner
from qmail.core.spawnproto import LIMIT, Command
from qmail.core.tcpto import SIZE
from ucspi.core import chain
from ucspi.core.command import Call, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAM = Program("qmail-rspawn", __doc__, title=True)
OWN = "qmail.remote"  # our qmail-remote's module
SAME_USER = (-1, -1)
NO_PROCESS = (errno.EAGAIN, errno.ENOMEM)  # what fork says


def run_remote(argv: Sequence[bytes], env: Mapping[bytes, bytes], how: chain.Chain) -> int:
    """Our own qmail-remote, loaded when it is first needed."""
    return chain.load(OWN)(argv, env, how)


class RemoteDelivery(Delivery):
    """One recipient on another host."""

    __slots__ = ("call", "crew")

    def __init__(self, command: Command, call: Call, crew: residents.Residents) -> None:
        super().__init__(command)
        self.call, self.crew = call, crew

    def start(self, message: int, output: int) -> int | bytes | Child:
        """Run qmail-remote HOST SENDER RECIPIENT; a program that is not there is no reason to bounce mail."""
        recipient = self.command.recipient
        argv = [program(self.call), recipient.rpartition(b"@")[2], self.command.sender, recipient]
        try:
            if is_ours(self.call) and sum(map(len, argv)) < residents.LARGEST // 2:
                return self.crew.start(SAME_USER, stay, argv, message, output)
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


def is_ours(call: Call) -> bool:
    """True if that is our own qmail-remote, which need not be exec'd.  OSError if it is not there."""
    module = chain.module_of(chain.search(program(call), call.path))
    return module == OWN and chain.EXEC not in call.env and chain.LIMITS not in call.env


def stay() -> None:
    """qmail-remote runs as whoever runs this."""


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
    directory = here.path(b"queue", b"mess")
    try:
        os.chdir(directory)
    except OSError:
        return 111
    owner = here.owner
    forget_timeouts(here.path(b"queue", b"lock", b"tcpto"))
    chain.preload([program(call)], call.path)
    gc.freeze()  # what is loaded stays shared with the forks
    crew = residents.Residents(run_remote, call.env, os.getcwdb(), b"qmail-rspawn", LIMIT)
    return Spawner(owner, lambda command: RemoteDelivery(command, call, crew), rest=crew.rest).run()


main = PROGRAM.entry(rspawn)
