"""Print the canonical name of a host: where its aliases lead.  dnscname(1).

A name that is no alias stands for itself.  Exits 100 for aliases in a circle, 111 if DNS does not say."""

from __future__ import annotations

from qmail.core import dnsanswers, dnstool
from ucspi.core.command import Call, Program

PROGRAM = Program("dnscname", __doc__, operands="HOST", preload=dnsanswers.MODULES)


def dnscname(call: Call) -> int:
    """The program."""
    return dnstool.answer(call, lines)


def lines(host: bytes, answers: dnsanswers.SystemAnswers) -> list[bytes]:
    """One name."""
    canonical = answers.canonical(host)
    if canonical is None:
        raise dnstool.NoSuch
    return [canonical]


main = PROGRAM.entry(dnscname)
