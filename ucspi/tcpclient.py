"""Run a program with a TCP connection on descriptors 6 and 7.  tcpclient(1).

The program finds who is at the other end in TCPREMOTEIP and its like, as under tcpserver.
Exits 100 on bad usage, 111 if there is no connection or no program."""

from __future__ import annotations

import _socket
import os

from ucspi.core import dialing, errtext, following, scan
from ucspi.core.command import Call, Flag, Program, Value
from ucspi.core.failure import Failure, TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = Program(
    "tcpclient",
    __doc__,
    options=(
        Flag("d", "Delay small packets, as the system does (default)."),
        Flag("D", "Never delay a packet."),
        Flag("q", "Say nothing."),
        Flag("Q", "Say what goes wrong (default)."),
        Flag("v", "Say everything."),
        Flag("h", "Look up the remote name (default)."),
        Flag("H", "Do not look up the remote name."),
        Flag("r", "Ask the server's ident server (default)."),
        Flag("R", "Do not ask for ident."),
        Value("l", "NAME", "The local name, instead of looking it up."),
        Value("t", "SECONDS", "Time for ident (26)."),
        Value("i", "IP", "The local address."),
        Value("p", "PORT", "The local port."),
        Value("T", "X+Y", "Try each address for X seconds, then again for Y (2+58)."),
    ),
    usage="tcpclient [ -hHrRdDqQv ] [ -i localip ] [ -p localport ] [ -T timeoutconn ] [ -l localname ]"
    " [ -t timeoutinfo ] host port program",
    operands="HOST PORT PROGRAM [ARGS]...",
    preload=("ucspi.core.resolver", "ucspi.core.ident"),
)


def tcpclient(call: Call) -> int:
    """Connect and become the program."""
    for fd in (6, 7):
        try:
            os.close(fd)  # whatever we were started with, 6 and 7 are the connection
        except OSError:
            pass
    if call.last("qQv", "Q") == "q":
        try:
            return _run(call, lambda text: None)
        except Failure as e:
            return e.exitcode
    return _run(call, call.warn)


def _run(call: Call, warn: Callable[[str], None]) -> int:
    local, times = _local(call), _times(call.value("T"))
    if len(call.operands) < 1:
        raise UsageFailure("")
    where = call.operands[0]
    if len(call.operands) < 2:
        raise UsageFailure("")
    port = dialing.port_number(call.operands[1])
    if len(call.operands) < 3:
        raise UsageFailure("")
    socket = dialing.dial(dialing.addresses(where, call.env), port, warn, times, local)
    if socket is None:
        return 111
    if call.last("dD") == "D":
        socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    _describe(call, socket)
    if call.last("qQv") == "v":
        warn(f"connected to {os.fsdecode(call.env[b'TCPREMOTEIP'])} port {port}")
    _place(socket)
    following.run(call, call.operands[2:])


def _local(call: Call) -> tuple[bytes, int]:
    ip = call.value("i")
    if ip is not None and b":" not in ip:
        parts = ip.split(b".", 3)  # junk behind the fourth number is ignored
        if len(parts) != 4 or not all(map(bytes.isdigit, [*parts[:3], parts[3][:1]])):
            raise UsageFailure("")
        ip = b".".join(b"%d" % (scan.number(part) & 255) for part in parts)
    return ip or b"", scan.number(call.value("p", b"0") or b"") & 0xFFFF


def _times(value: bytes | None) -> tuple[int, int]:
    if value is None:
        return dialing.FIRST, dialing.SECOND
    first, _, second = value.partition(b"+")
    # Only a plus right behind the first number counts.
    return scan.number(first), scan.number(second) if first.isdigit() or not first else 0


def _describe(call: Call, socket: _socket.socket) -> None:
    """The variables that say what the connection is."""
    what, env = "local", call.env
    try:
        here = socket.getsockname()
        what = "remote"
        there = socket.getpeername()
    except OSError as e:
        raise TemporaryFailure(f"unable to get {what} address: {errtext.text(e)}") from e
    local_ip, remote_ip = os.fsencode(here[0]), os.fsencode(there[0])
    env[b"PROTO"] = b"TCP6" if b":" in remote_ip else b"TCP"
    env[b"TCPLOCALIP"], env[b"TCPLOCALPORT"] = local_ip, b"%d" % here[1]
    env[b"TCPREMOTEIP"], env[b"TCPREMOTEPORT"] = remote_ip, b"%d" % there[1]
    looked_up = call.last("hH", "h") == "h"
    given = call.value("l")
    _set(env, b"TCPLOCALHOST", _name(call, local_ip) if given is None else given)
    _set(env, b"TCPREMOTEHOST", _name(call, remote_ip) if looked_up else None)
    info: bytes | None = None
    if call.last("rR", "r") == "r":
        from ucspi.core import ident

        timeout = scan.number(call.value("t", b"26") or b"")
        info = ident.ask(local_ip, here[1], remote_ip, there[1], timeout)
    _set(env, b"TCPREMOTEINFO", info)


def _set(env: dict[bytes, bytes], name: bytes, value: bytes | None) -> None:
    if value is None:
        env.pop(name, None)
    else:
        env[name] = value


def _name(call: Call, ip: bytes) -> bytes | None:
    from ucspi.core import resolver

    try:
        return resolver.Resolver(call.env).name(ip) or b""  # unlike tcpserver: no name is the empty name
    except TemporaryFailure:
        return None


def _place(socket: _socket.socket) -> None:
    fd = socket.detach()
    for number in (6, 7):
        try:
            if fd == number:
                os.set_inheritable(fd, True)
            else:
                os.dup2(fd, number)
        except OSError as e:
            raise TemporaryFailure(f"unable to set up descriptor {number}: {errtext.text(e)}") from e
    if fd not in (6, 7):
        os.close(fd)


main = PROGRAM.entry(tcpclient)
