"""Put a message into the queue.  qmail-queue(8).

Reads the message on descriptor 0 to its end, then the envelope on descriptor 1.  Exits 0 when the message lasts in
the queue and qmail-send was told; any other code says why it is not there, and nothing is ever printed.

Where this process may not write the queue, qmail-queued does the work on the same two descriptors: no set-user-id."""

from __future__ import annotations

import _thread
import os

from qmail.core import instance, queuedsocket
from qmail.core.queuedir import DEATH, Refused, receive
from qmail.core.reception import Reception
from ucspi.core import signals as signal
from ucspi.core import streams
from ucspi.core.command import Call, Program

PROGRAM = Program("qmail-queue", __doc__)

IGNORED = (
    signal.SIGPIPE,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGQUIT,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGXCPU,
    signal.SIGXFSZ,
)
TIMED_OUT, OUT_OF_MEMORY, BUG = 52, 51, 81
CRASHES = (signal.SIGILL, signal.SIGABRT, signal.SIGFPE, signal.SIGBUS, signal.SIGSEGV, signal.SIGSYS)


def qmail_queue(call: Call) -> int:
    """Receive here, or have it received."""
    _set_signals()
    try:
        home = instance.of(call.env)
        reception = Reception(home)
        if not reception.may_write:
            return _ask_queued(home)
        receive(reception.arrival(os.getuid(), os.getpid()), streams.blocks(0), streams.blocks(1))
    except Refused as refused:
        return refused.code
    except MemoryError:
        return OUT_OF_MEMORY
    except Exception:
        return BUG
    return 0


def _ask_queued(home: instance.Instance) -> int:
    try:
        connection = queuedsocket.submit(queuedsocket.path(home), 0, 1)
    except OSError:
        return queuedsocket.UNREACHABLE
    return queuedsocket.answer(connection)


def _set_signals() -> None:
    """Live through what callers do, die of old age.

    The signals with a code of their own are blocked and awaited in a thread: it is heard at once, whatever call the
    reception waits in, and leaves its files as they are.  A crash of the interpreter itself still kills: the kernel
    lets no process go on from a fault it has blocked."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    awaited = (signal.SIGALRM, *CRASHES)
    for number in awaited:
        signal.signal(number, signal.SIG_DFL)  # an ignored one would not be awaited
    signal.pthread_sigmask(signal.SIG_SETMASK, awaited)
    _thread.start_new_thread(_die, (awaited,))
    signal.alarm(DEATH)


def _die(awaited: tuple[signal.Signals, ...]) -> None:
    number = signal.sigwait(awaited)
    os._exit(TIMED_OUT if number == signal.SIGALRM else BUG)


main = PROGRAM.entry(qmail_queue)
