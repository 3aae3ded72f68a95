"""Senders, added up.  senders(1).

Reads what matchup wrote on descriptor 0; prints on descriptor 1 a line for each:
messages, bytes, sbytes, rbytes, recipients, tries, xdelay, uid/sender.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("senders", __doc__)


def senders(call: Call) -> int:
    """Until the end of the input."""
    return filters.plain(call, "Senders")


main = PROGRAM.entry(senders)
