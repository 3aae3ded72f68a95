"""Print the name of an IP address, as its PTR record spells it.  dnsptr(1).

Exits 100 if it has none, 111 if DNS does not say."""

from __future__ import annotations

from qmail.core import dnsanswers, dnstool
from ucspi.core import ip
from ucspi.core.command import Call, Program

PROGRAM = Program("dnsptr", __doc__, operands="ADDRESS", preload=dnsanswers.MODULES)


def dnsptr(call: Call) -> int:
    """The program."""
    return dnstool.answer(call, lines)


def lines(address: bytes, answers: dnsanswers.SystemAnswers) -> list[bytes]:
    """One name."""
    canonical = ip.canonical(address)
    if canonical is None:
        raise dnstool.NoSuch
    return [dnstool.pointer(canonical, answers)]


main = PROGRAM.entry(dnsptr)
