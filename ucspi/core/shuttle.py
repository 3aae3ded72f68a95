"""A program between two pipes, with something of ours looking at what goes through.  For recordio and fixcrio.

The calling process becomes the program, so that its exit code and pid are the program's own; a forked child moves the
bytes.  The child ends when the program's output does.  A program that closes its input while the client still sends
ends the child too, as it does in the originals (there by SIGPIPE)."""

from __future__ import annotations

import os
import select

from ucspi.core import errtext, following, streams
from ucspi.core import signals as signal
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from ucspi.core.command import Call

    Through = Callable[[bytes], bytes]  # gets each block, b"" at the end; returns what is passed on


def run(call: Call, inwards: Through, outwards: Through) -> NoReturn:
    """Become the program in call.operands behind a shuttle."""
    program_in, to_program, from_program, program_out = _pipes()
    try:
        pid = os.fork()
    except OSError as e:
        raise TemporaryFailure(f"unable to fork: {errtext.text(e)}") from e
    if pid == 0:
        code = 111
        try:
            _close_all_but(0, 1, 2, to_program, from_program)
            code = _move(to_program, from_program, inwards, outwards)
        finally:
            os._exit(code)
    try:
        for ours, standard in ((program_in, 0), (program_out, 1)):
            os.dup2(ours, standard)
    except OSError as e:
        raise TemporaryFailure(f"unable to move descriptors: {errtext.text(e)}") from e
    finally:
        for fd in (program_in, to_program, from_program, program_out):
            os.close(fd)
    following.run(call, call.operands)


def _pipes() -> tuple[int, int, int, int]:
    try:
        return (*os.pipe(), *os.pipe())
    except OSError as e:
        raise TemporaryFailure(f"unable to create pipe: {errtext.text(e)}") from e


def _move(to_program: int, from_program: int, inwards: Through, outwards: Through) -> int:
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGALRM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.set_blocking(to_program, False)  # ours alone; a program that writes before it reads must not stop us reading
    waiting = memoryview(b"")
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(from_program, select.POLLIN)
    try:
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if 0 in ready:  # read first and written last, so that a program that has ended is heard to its end
                block = _read()
                waiting = memoryview(inwards(block))
                poll.unregister(0)
                if not block:
                    os.close(to_program)
            if from_program in ready:
                block = os.read(from_program, streams.BLOCK)
                streams.write_all(1, outwards(block))
                if not block:
                    return 0
            if waiting and (0 in ready or to_program in ready):
                waiting = _write(to_program, waiting)
                if waiting:
                    poll.register(to_program, select.POLLOUT)
                else:
                    if to_program in ready:
                        poll.unregister(to_program)
                    poll.register(0, select.POLLIN)
    except OSError:
        return 111


def _read() -> bytes:
    try:
        return streams.read_some(0)
    except OSError:
        return b""  # as good as the end


def _close_all_but(*kept: int) -> None:
    # Most of all the program's pipe ends; but a pool worker's descriptors also must not live on here.
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) not in kept:
                os.close(int(name))
        except OSError:
            continue  # the directory's own, closed by now


def _write(fd: int, data: memoryview) -> memoryview:
    try:
        return data[os.write(fd, data) :]
    except BlockingIOError:
        return data
