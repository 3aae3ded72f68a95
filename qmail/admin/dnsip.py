"""Print the IP addresses of a host, one a line.  dnsip(1).

An IPv4 address, bare or in brackets, stands for itself.  Exits 100 for no such host, 111 if DNS does not say."""

from __future__ import annotations

from qmail.core import dnsanswers, dnstool
from ucspi.core.command import Call, Program

PROGRAM = Program("dnsip", __doc__, operands="HOST", preload=dnsanswers.MODULES)


def dnsip(call: Call) -> int:
    """The program."""
    return dnstool.answer(call, lines)


def lines(host: bytes, answers: dnsanswers.SystemAnswers) -> list[bytes]:
    """Addresses."""
    return dnstool.addresses(host, answers)


main = PROGRAM.entry(dnsip)
