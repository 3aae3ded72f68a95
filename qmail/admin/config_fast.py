"""Write the first control files for a host of this name.  qmail-config-fast(8).

    qmail-config-fast fqdn

Overwrites me, defaultdomain and plusdomain, and adds the name to locals and rcpthosts.  Asks nothing of the network.

Exits 0, 100 on bad usage, 111 if a file cannot be written."""

from __future__ import annotations

from qmail.core import instance
from qmail.install.configuration import WARNING, Controls, say
from ucspi.core.command import Call, Program
from ucspi.core.failure import UsageFailure

PROGRAM = Program("qmail-config-fast", __doc__, usage="qmail-config-fast fqdn", operands="FQDN")


def config_fast(call: Call) -> int:
    """The program."""
    if len(call.operands) != 1 or not _is_name(call.operands[0]):
        raise UsageFailure
    fqdn = call.operands[0]
    controls = Controls(instance.of(call.env))
    say(b"Your fully qualified host name is %b.\n" % fqdn)
    say(controls.names(fqdn))
    for name in (b"locals", b"rcpthosts"):
        say(b"Putting %b into control/%b...\n" % (fqdn, name))
        controls.append(name, fqdn)
    say(b"Now qmail will refuse to accept SMTP messages except to %b.\n%b" % (fqdn, WARNING))
    return 0


def _is_name(word: bytes) -> bool:
    """The original takes anything: an empty word, or two lines, would make an open relay of the host."""
    return bool(word) and not any(byte <= 32 or byte == 127 for byte in word) and not word.startswith((b"#", b"-"))


main = PROGRAM.entry(config_fast)
