"""Host arguments of tcpserver and tcpclient: an address as it stands, or a name to be qualified and looked up.

    only digits, dots, brackets     read, not looked up: every four components are an address, each modulo 256
    else                            rewritten by $DNSREWRITEFILE or /etc/dnsrewrite, else by $LOCALDOMAIN, else by the
                                    search line of /etc/resolv.conf, else by the domain of the host's own name

Rewriting may end in `a+.x+.y`: a.x, then a.y; the first that has addresses wins.  ucspi-tcp(7)."""

from __future__ import annotations

import os

from ucspi.core import resolver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ucspi.core.resolver import Resolver

DNSREWRITE = b"/etc/dnsrewrite"
RESOLV_CONF = b"/etc/resolv.conf"
MOST_CANDIDATES = 64


def addresses(host: bytes, env: Mapping[bytes, bytes], names: Resolver | None = None) -> list[bytes]:
    """All IPv4 addresses of a host argument, in the order to try them; [] if there are none.  Raises TemporaryFailure."""
    if not host.translate(None, b"0123456789.[]"):
        return literal(host)
    if names is None:
        names = resolver.Resolver(env)
    for candidate in candidates(rewrite(host, rules(env))):
        found = names.ip4(candidate)
        if found:
            return found
    return []


def literal(host: bytes) -> list[bytes]:
    """Addresses written in the word itself; a rest of fewer than four components is dropped."""
    parts = [int(part[-64:]) % 256 for part in host.translate(None, b"[]").split(b".") if part]
    return [b"%d.%d.%d.%d" % tuple(parts[i : i + 4]) for i in range(0, len(parts) - 3, 4)]


def candidates(name: bytes) -> list[bytes]:
    """`a+.x+.y` as a.x, a.y; any other name as it stands."""
    first, *endings = name.split(b"+")
    return [first + ending for ending in endings[:MOST_CANDIDATES]] or [name]


def rewrite(name: bytes, lines: list[bytes]) -> bytes:
    """Apply rewriting rules, in their order, each to what the one before left."""
    for line in lines:
        kind, (pattern, colon, to) = line[:1], line[1:].partition(b":")
        if not colon:
            continue
        if kind == b"=" and name == pattern:
            name = to
        elif kind in (b"*", b"?", b"-") and name.endswith(pattern):
            rest = name[: len(name) - len(pattern)]
            if kind == b"-":
                name = to
            elif kind == b"*" or not any(c in rest for c in b".[]"):
                name = rest + to
    return name


def rules(env: Mapping[bytes, bytes]) -> list[bytes]:
    """The rewriting rules in force."""
    file = _read(env.get(b"DNSREWRITEFILE", DNSREWRITE))
    if file is not None:
        return [line.strip(b" \t") for line in file.split(b"\n")]
    domains = env.get(b"LOCALDOMAIN")
    words = _resolv_conf() if domains is None else domains.split()
    if words is None:
        own = os.fsencode(os.uname().nodename).partition(b".")
        words = [own[2]] if own[2] else []
    if not words:
        return [b"*.:"]
    return [b"?:" + b"".join(b"+." + word for word in words), b"*.:"]


def _resolv_conf() -> list[bytes] | None:
    for line in (_read(RESOLV_CONF) or b"").split(b"\n"):
        for keyword in (b"search", b"domain"):
            if line.startswith(keyword) and line[6:7] in (b" ", b"\t"):
                return line[6:].split()
    return None


def _read(path: bytes) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(65536)
    except OSError:
        return None
