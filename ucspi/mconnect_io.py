"""Copy descriptor 0 to a connection on 7, with CR LF line ends, the connection on 6 to 1.  mconnect-io(1).

Ends with the connection, exit code 0; the end of descriptor 0 ends nothing."""

from __future__ import annotations

import os

from ucspi.core import errtext, newlines, streams
from ucspi.core import signals as signal
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure

PROGRAM = Program("mconnect-io", __doc__)


def mconnect_io(call: Call) -> int:
    """A child for one direction, ourselves for the other."""
    signal.hear_of_children()
    try:
        pid = os.fork()
    except OSError as e:
        raise TemporaryFailure(f"unable to fork: {errtext.text(e)}") from e
    if pid == 0:
        code = 111
        try:
            for block in streams.blocks(0):
                streams.write_all(7, newlines.add(block))
            code = 0
        except OSError:
            pass  # the connection is gone, as the other direction will see
        finally:
            os._exit(code)
    try:
        for block in streams.blocks(6):
            streams.write_all(1, block)
    except OSError:
        pass  # over, whichever side it was
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    return 0


main = PROGRAM.entry(mconnect_io)
