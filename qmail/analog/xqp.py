"""Select the lines of a message.  xqp(1).

    xqp QP

Reads what matchup wrote on descriptor 0; copies what is about messages queued by process QP to descriptor 1.

Exits 0, or 111 if it cannot read or write."""

from __future__ import annotations

from qmail.analog.core import filters
from ucspi.core.command import Call, Program

PROGRAM = Program("xqp", __doc__, usage="xqp qp", operands="QP")


def xqp(call: Call) -> int:
    """Until the end of the input."""
    from qmail.analog.core.awk import is_number, number

    text = (call.operands[0] if call.operands else b"").decode("latin-1")
    if is_number(text):
        text = text.strip(" \t")

    def wanted(fields: list[bytes]) -> bool:
        qp = fields[8].decode("latin-1")
        return number(qp) == number(text) if is_number(qp) and is_number(text) else qp == text

    return filters.select(wanted)


main = PROGRAM.entry(xqp)
