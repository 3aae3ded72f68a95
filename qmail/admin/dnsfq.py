"""Print the full name of a host: the name that its first IP address has.  dnsfq(1).

The search list of /etc/resolv.conf completes HOST.  Exits 100 if there is no such name, 111 if DNS does not say."""

from __future__ import annotations

from qmail.core import dnsanswers, dnstool
from ucspi.core.command import Call, Program

PROGRAM = Program("dnsfq", __doc__, operands="HOST", preload=dnsanswers.MODULES)
NO_ADDRESS = b"no IP addresses\n"


def dnsfq(call: Call) -> int:
    """The program."""
    return dnstool.answer(call, lines, search=True)


def lines(host: bytes, answers: dnsanswers.SystemAnswers) -> list[bytes]:
    """One name."""
    found = dnstool.addresses(host, answers)
    if not found:
        raise dnstool.NoSuch(NO_ADDRESS)
    return [dnstool.pointer(found[0], answers)]


main = PROGRAM.entry(dnsfq)
