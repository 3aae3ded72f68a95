"""Match up the lines of qmail-send's log, for statistics.  matchup(1).

Reads the log on descriptor 0, writes a line for each delivery attempt and each finished message on descriptor 1, and
on descriptor 5 what is still open, to be put in front of the next log.  Takes the stamps of multilog, splogger, syslogd
and journald.

Exits 0, or 111 if it cannot read or write; descriptor 5 need not be open if nothing is."""

from __future__ import annotations

import gc
import time

from qmail.analog.core import filters
from ucspi.core import streams
from ucspi.core.command import Call, Program

PROGRAM = Program("matchup", __doc__)
PENDING = 5


def matchup(call: Call) -> int:
    """Until the end of the log."""
    from qmail.analog.core.parallel import Sequel, matched  # re, datetime: not for --help

    streams.widen(1)
    gc.disable()  # the tables hold millions of objects and no cycles
    now = time.time()
    matcher = Sequel(now)
    try:
        for output in matched(filters.blocks(), matcher, now):
            if output:
                filters.put(output)
    finally:
        gc.enable()
    for what, times in matcher.warnings.items():
        call.warn(f"warning: {times} {what}")
    if pending := matcher.pending():
        filters.put(pending, PENDING, "fd 5")
    return 0


main = PROGRAM.entry(matchup)
