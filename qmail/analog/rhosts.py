"""Recipient hosts, added up.  rhosts(1).

Reads what matchup wrote on descriptor 0; prints on descriptor 1 a line for each:
bytes, messages, tries, xdelay, host.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("rhosts", __doc__)


def rhosts(call: Call) -> int:
    """Until the end of the input."""
    return filters.plain(call, "Hosts")


main = PROGRAM.entry(rhosts)
