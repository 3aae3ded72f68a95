"""Print the addresses that qmail-remote takes for this machine's own, one a line.  ipmeprint(1).

0.0.0.0 comes first, then the other IPv4 addresses, then the IPv6 ones.  Exits 100 if the kernel will not tell."""

from __future__ import annotations

from qmail.core import ipme
from ucspi.core import streams
from ucspi.core.command import Call, Program

PROGRAM = Program("ipmeprint", __doc__)


def ipmeprint(_: Call) -> int:
    """The program."""
    try:
        own = ipme.listed()
    except OSError:
        streams.complain(b"hard error\n")
        return 100
    streams.write_all(1, b"".join(address + b"\n" for address in own))
    return 0


main = PROGRAM.entry(ipmeprint)
