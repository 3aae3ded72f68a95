"""What matchup wrote, in the manner of sendmail's log.  zsendmail(1).

Reads what matchup wrote on descriptor 0; prints on descriptor 1 a line for each delivery and message; copies
other lines.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("zsendmail", __doc__)


def zsendmail(call: Call) -> int:
    """Until the end of the input."""
    from qmail.analog.core.sendmail import as_sendmail

    for block in filters.whole_lines():
        filters.put(as_sendmail(block))
    return 0


main = PROGRAM.entry(zsendmail)
