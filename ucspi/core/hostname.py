"""Host arguments of tcpserver and tcpclient: an address as it stands, or a name to be qualified and looked up.

    first   it is rewritten by $DNSREWRITEFILE or /etc/dnsrewrite, else by $LOCALDOMAIN, else by the search line of
            /etc/resolv.conf, else by the domain of the host's own name
    then    `a+.x+.y` is a.x, then a.y: the first that has addresses wins
    then    only digits, dots, brackets: every four components are an address, each modulo 256; else DNS is asked

ucspi-tcp(7), section "host names"."""

from __future__ import annotations

import os

from ucspi.core import errtext, ip, resolver
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ucspi.core.resolver import Resolver

DNSREWRITE = b"/etc/dnsrewrite"
RESOLV_CONF = b"/etc/resolv.conf"
MOST_CANDIDATES = 64


def addresses(host: bytes, env: Mapping[bytes, bytes], names: Resolver | None = None) -> list[bytes]:
    """The addresses of a host argument, in the order to try them; may be none.  Raises TemporaryFailure.

    IPv6 is asked for where there is no IPv4; an IPv6 address may be written as it is."""
    if b":" in host and (address := ip.canonical(host.strip(b"[]"))):
        return [address]
    if names is None:
        names = resolver.Resolver(env)
    for candidate in candidates(rewrite(host, rules(env))):
        literally = not candidate.translate(None, b"0123456789.[]")
        found = literal(candidate) if literally else names.ip4(candidate) or names.ip6(candidate)
        if found:
            return found
    return []


def literal(host: bytes) -> list[bytes]:
    """Addresses written in the word itself; a rest of fewer than four components is dropped."""
    parts = [int(part[-64:] or b"0") % 256 for part in host.translate(None, b"[]").split(b".")]
    return [b"%d.%d.%d.%d" % tuple(parts[i : i + 4]) for i in range(0, len(parts) - 3, 4)]


def candidates(name: bytes) -> list[bytes]:
    """`a+.x+.y` as a.x, a.y; any other name as it stands."""
    first, *endings = name.split(b"+")
    return [first + ending for ending in endings[:MOST_CANDIDATES]] or [name]


def rewrite(name: bytes, lines: list[bytes]) -> bytes:
    """Apply rewriting rules, in their order, each to what the one before left."""
    for line in lines:
        kind, (pattern, colon, to) = line[:1], line[1:].partition(b":")
        if not colon or not name.lower().endswith(pattern.lower()):
            continue
        rest = name[: len(name) - len(pattern)]
        if kind == b"-" or (kind == b"=" and not rest):
            name = to
        elif kind == b"*" or (kind == b"?" and not rest.translate(None, _ANY_BUT_DOTS)):
            name = rest + to
    return name


_ANY_BUT_DOTS = bytes(byte for byte in range(256) if byte not in b".[]")


def rules(env: Mapping[bytes, bytes]) -> list[bytes]:
    """The rewriting rules in force.  Raises TemporaryFailure: a file is there and cannot be read."""
    file = _read(env.get(b"DNSREWRITEFILE", DNSREWRITE))
    if file is not None:
        return [line.rstrip(b" \t\r") for line in file.split(b"\n")]
    domains = env.get(b"LOCALDOMAIN")
    words = _search_list() if domains is None else domains.split(b" ")
    if words is None:
        _, dot, domain = os.fsencode(os.uname().nodename).partition(b".")
        return [b"?:." + domain, b"*.:"] if dot else [b"*.:"]
    return [b"?:" + b"".join(b"+." + word for word in words), b"*.:"]


def _search_list() -> list[bytes] | None:
    for line in (_read(RESOLV_CONF) or b"").split(b"\n")[:-1]:
        if line[:6] in (b"search", b"domain") and line[6:7] in (b" ", b"\t"):
            return [word for word in line[7:].replace(b"\t", b" ").split(b" ") if word]
    return None


def _read(path: bytes) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(65536)
    except FileNotFoundError:
        return None
    except OSError as e:
        raise TemporaryFailure(errtext.text(e)) from e
