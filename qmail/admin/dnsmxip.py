"""Print where mail for a host goes: lines of address and preference, in the order of delivery.  dnsmxip(1).

Exits 100 if there is no such host, 111 if DNS does not say."""

from __future__ import annotations

from qmail.core import dnsanswers, dnstool, mx
from ucspi.core.command import Call, Program
from ucspi.core.failure import PermanentFailure

PROGRAM = Program("dnsmxip", __doc__, operands="HOST", preload=dnsanswers.MODULES)


def dnsmxip(call: Call) -> int:
    """The program."""
    return dnstool.answer(call, lines)


def lines(host: bytes, answers: dnsanswers.SystemAnswers) -> list[bytes]:
    """Addresses and preferences; none where exchangers are named and none has an address."""
    try:
        levels = list(mx.levels(host, answers))
    except mx.NoExchanger:
        return []
    except PermanentFailure as e:
        raise dnstool.NoSuch from e
    return [b"%b %d" % (address, level.preference) for level in levels for address in level.addresses]


main = PROGRAM.entry(dnsmxip)
