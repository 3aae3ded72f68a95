"""What the small DNS programs have in common: one word in, the lines of the answer out.  dnsip(1) and its siblings.

No word: exit 100, silently.  "hard error", 100: the DNS says there is none.  "soft error", 111: it does not say."""

from __future__ import annotations

from qmail.core import mx
from qmail.core.dnsanswers import SystemAnswers
from ucspi.core import streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ucspi.core.command import Call

HARD, SOFT = b"hard error\n", b"soft error\n"


class NoSuch(Exception):
    """There is nothing to print; str() is what the program says."""

    def __init__(self, complaint: bytes = HARD) -> None:
        super().__init__(complaint)
        self.complaint = complaint


def answer(call: Call, lines: Callable[[bytes, SystemAnswers], list[bytes]], *, search: bool = False) -> int:
    """Print what `lines` makes of the program's word.  It raises NoSuch, or lets NoAnswer pass."""
    if not call.operands:
        return 100
    try:
        found = lines(call.operands[0], SystemAnswers(call.env, search=search))
    except NoSuch as e:
        streams.complain(e.complaint)
        return 100
    except mx.NoAnswer:
        streams.complain(SOFT)
        return 111
    streams.write_all(1, b"".join(line + b"\n" for line in found))
    return 0


def addresses(name: bytes, answers: SystemAnswers) -> list[bytes]:
    """IPv4 addresses of a name, or the address that it spells; IPv6 ones where there are no others.

    None for an alias of a host without address, which is no error.  Raises NoSuch."""
    spelt = mx.literal(name)
    found = [spelt] if spelt else answers.addresses(name)
    if not found and not answers.leads_nowhere(name):
        raise NoSuch
    return [address for address in found if b":" not in address] or found


def pointer(address: bytes, answers: SystemAnswers) -> bytes:
    """The name of an address.  Raises NoSuch."""
    names = answers.pointers(address)
    if not names:
        raise NoSuch
    return names[0]
