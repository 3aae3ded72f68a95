"""Print the texts of a host, one string of its TXT records a line.  dnstxt(1).

Bytes that a terminal would obey come out as "?".  Exits 100 if there are none, 111 if DNS does not say."""

from __future__ import annotations

from qmail.core import dnsanswers, dnstool
from ucspi.core.command import Call, Program

PROGRAM = Program("dnstxt", __doc__, operands="HOST", preload=dnsanswers.MODULES)


def dnstxt(call: Call) -> int:
    """The program."""
    return dnstool.answer(call, lines)


def lines(host: bytes, answers: dnsanswers.SystemAnswers) -> list[bytes]:
    """Strings."""
    found = answers.texts(host)
    if not found:
        raise dnstool.NoSuch
    return [text.translate(PRINTABLE) for text in found]


PRINTABLE = bytes(byte if byte >= 32 and byte != 127 else ord("?") for byte in range(256))

main = PROGRAM.entry(dnstxt)
