"""Copy a log to syslog, with a time stamp in front of each line.  splogger(8).

    splogger [tag [facility]]

Reads lines on descriptor 0 to the end.  The tag (splogger) goes in front, the facility is a number (2, mail).
Lines that begin with "alert:" or "warning:" get that priority, others info.

Exits 0."""

from __future__ import annotations

import syslog
import time

from qmail.core.sysloglines import SyslogLines
from ucspi.core import scan, streams
from ucspi.core.command import Call, Program

MAIL = 2
PROGRAM = Program("splogger", __doc__, usage="splogger [tag [facility]]", operands="[TAG [FACILITY]]", title=True)


def splogger(call: Call) -> int:
    """The program."""
    tag = call.operands[0] if call.operands else b"splogger"
    facility = scan.number(call.operands[1]) if len(call.operands) > 1 else MAIL
    # As wide as C's int, lest a silly number be an error: the library takes what is no facility as its default.
    syslog.openlog(tag.decode("utf-8", "replace"), 0, (facility << 3) & 0xFFFFFFFF)
    lines = SyslogLines(time.time_ns)
    try:
        for block in streams.blocks(0):
            for priority, text in lines.receive(block):
                syslog.syslog(priority, text)
    except OSError:
        pass  # a read error ends the log as the end of file does
    syslog.closelog()
    return 0


main = PROGRAM.entry(splogger)
