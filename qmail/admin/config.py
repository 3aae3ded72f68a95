"""Write the first control files, as DNS knows this host.  qmail-config(8).

Overwrites me, defaultdomain, plusdomain, locals and rcpthosts.  The host's name is looked up as other mail hosts would:
the name of its address.  Every name of every address of the host is local.

Exits 0, also where DNS does not know the host and nothing is written; 111 if a file cannot be written."""

from __future__ import annotations

import os

from qmail.core import instance, ipme
from qmail.install.configuration import WARNING, Controls, say
from ucspi.core import hostname
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure
from ucspi.core.resolver import Resolver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Program("qmail-config", __doc__)


def config(call: Call) -> int:
    """The program."""
    host = os.fsencode(os.uname().nodename).lower()
    if not host:
        return _sorry(b"hostname")
    say(b"Your hostname is %b.\n" % host)
    names = Resolver(call.env)
    addresses = _addresses(host, call, names)
    fqdn = _name(addresses[0], names) if addresses else None
    if not fqdn:
        return _sorry(b"host's canonical name in DNS")
    say(b"Your host's fully qualified name in DNS is %b.\n" % fqdn)
    home = instance.of(call.env)
    controls = Controls(home)
    say(controls.names(fqdn))
    say(b" \nChecking local IP addresses:\n")
    found = []
    for address in sorted({*_addresses(fqdn, call, names), *_own()}):
        name = _name(address, names)
        if name:
            say(b"%b: Adding %b to control/locals...\n" % (address, name))
            found.append(name)
        else:
            say(b"%b: PTR lookup failed. I assume this address has no DNS name.\n" % address)
    controls.put(b"locals", found)
    say(b" \nIf there are any other domain names that point to you,\n")
    say(b"you will have to add them to %b/locals.\n" % home.control)
    say(b"You don't have to worry about aliases, i.e., domains with CNAME records.\n \n")
    say(b"Copying %b/locals to %b/rcpthosts...\n" % (home.control, home.control))
    controls.put(b"rcpthosts", found)
    say(b"Now qmail will refuse to accept SMTP messages except to those hosts.\n" + WARNING)
    return 0


def _sorry(what: bytes) -> int:
    say(b"Sorry, I couldn't find your %b.\nYou will have to set up control/me yourself.\n" % what)
    return 0


def _addresses(name: bytes, call: Call, names: Resolver) -> list[bytes]:
    try:
        return hostname.addresses(name, call.env, names)
    except (OSError, TemporaryFailure):
        return []


def _name(address: bytes, names: Resolver) -> bytes | None:
    try:
        return (names.name(address) or b"").lower() or None
    except (OSError, TemporaryFailure):
        return None


def _own() -> Iterator[bytes]:
    """The machine's own; no name server knows the IPv6 addresses of a single wire."""
    for address in ipme.addresses():
        if address != b"::" and not address.startswith(b"fe80:"):
            yield address


main = PROGRAM.entry(config)
