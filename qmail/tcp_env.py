"""Run a program with TCP environment variables, where a server made none.  tcp-env(1).

Descriptor 0 is a TCP connection, from inetd say.  Where PROTO is TCP (or TCP6) already, the program is run at once.
Otherwise the variables of tcp-environ(5) are set.  Exits 111 for everything, bad usage too, silently."""

from __future__ import annotations

import _socket

from ucspi.core import ident, ip, resolver, scan
from ucspi.core.command import Call, Flag, Program, Value
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Program(
    "tcp-env",
    __doc__,
    options=(
        Flag("r", "Ask the client's host for the user's name by IDENT (default)."),
        Flag("R", "Do not ask."),
        Value("t", "SECONDS", "Give up asking after this many seconds (default 30)."),
    ),
    operands="PROGRAM [ARGS]...",
    preload=resolver.PRELOAD,
    lenient=True,
)
LONGEST = 998  # bytes of a user's name
SOFT = b"softdnserror"  # in place of a name that the DNS was silent about


def tcp_env(call: Call) -> int:
    """The program."""
    if not call.operands:
        return 111
    try:
        if call.env.get(b"PROTO") not in (b"TCP", b"TCP6"):
            describe(call)
        call.execute(call.operands)
    except OSError:
        return 111


def describe(call: Call) -> None:
    """Set what is known of the connection on descriptor 0, unset what is not.  OSError if it is none."""
    connection = _socket.socket(fileno=0)
    try:
        if connection.family not in (_socket.AF_INET, _socket.AF_INET6):
            raise OSError("not TCP")
        local, remote = connection.getsockname(), connection.getpeername()
    finally:
        connection.detach()
    local_ip, remote_ip = (ip.unmapped(each[0].partition("%")[0].encode()) for each in (local, remote))
    names = resolver.Resolver(call.env)
    found: dict[bytes, bytes | None] = {
        b"PROTO": b"TCP6" if b":" in remote_ip else b"TCP",
        b"TCPLOCALIP": local_ip,
        b"TCPLOCALPORT": b"%d" % local[1],
        b"TCPLOCALHOST": name(names, local_ip),
        b"TCPREMOTEIP": remote_ip,
        b"TCPREMOTEPORT": b"%d" % remote[1],
        b"TCPREMOTEHOST": name(names, remote_ip),
        b"TCPREMOTEINFO": None,
    }
    if call.last("rR", "r") == "r":
        timeout = scan.number(call.value("t") or b"30")
        found[b"TCPREMOTEINFO"] = ident.ask(local_ip, local[1], remote_ip, remote[1], timeout, longest=LONGEST)
    for variable, value in (*found.items(), *_ipv6(found)):
        if value is None:
            call.env.pop(variable, None)
        else:
            call.env[variable] = value


def name(names: resolver.Resolver, address: bytes) -> bytes | None:
    """The name of an address; None if it has none."""
    try:
        return names.name(address)
    except TemporaryFailure:
        return SOFT


def _ipv6(found: dict[bytes, bytes | None]) -> Iterator[tuple[bytes, bytes | None]]:
    """The names that tcpservers of IPv6 use beside the others."""
    if found[b"PROTO"] == b"TCP6":
        for variable, value in found.items():
            if variable.startswith(b"TCP") and variable != b"TCPREMOTEINFO":
                yield variable.replace(b"TCP", b"TCP6"), value


main = PROGRAM.entry(tcp_env)
