"""What tcpserver does with one connection: find out who it is, ask the rules, become the program.

The steps, their order, the variables and the messages are tcpserver(1)'s."""

from __future__ import annotations

import os
import socket

from ucspi.core import chain, errtext, ident, ip, pool, resolver, rules, scan, streams
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ucspi.core.command import Call

IP_OPTIONS = 4
DENIED = 100 << 8  # wait status of a child that exits 100
DROPPED = 111 << 8

_VARIABLES_4 = (
    b"PROTO",
    b"TCPLOCALIP",
    b"TCPLOCALPORT",
    b"TCPLOCALHOST",
    b"TCPREMOTEIP",
    b"TCPREMOTEPORT",
    b"TCPREMOTEHOST",
    b"TCPREMOTEINFO",
)
_VARIABLES_6 = (*[name.replace(b"TCP", b"TCP6") for name in _VARIABLES_4[1:7]], b"TCP6INTERFACE")
_VARIABLES = (*_VARIABLES_4, *_VARIABLES_6)
# Log fields: anything that could be mistaken for another field or line, or be more than a byte on a screen.
_SAFE = bytes(c if 33 <= c <= 126 and c not in b"%:" else ord("?") for c in range(256))
LONGEST_FIELD = 100


class Dropped(Exception):
    """The connection cannot be served: the wait status of the child that would have said so, and what it says."""


class Settings:
    """The options that concern a connection, parsed once, before the first fork."""

    def __init__(self, call: Call, program: Sequence[bytes]) -> None:
        self.program = list(program)
        self.path = call.path
        self.rules = call.value("x")
        self.rules_may_lack = bool(call.last("X"))
        self.banner = call.value("B", b"") or b""
        self.local_host = call.value("l")
        self.look_up = call.last("hH", "h") == "h"
        self.paranoid = call.last("pP", "P") == "p"
        self.ask_ident = call.last("rR", "r") == "r"
        self.ident_timeout = scan.number(call.value("t", b"26") or b"")
        self.clear_options = call.last("oO", "O") == "O"
        self.no_delay = call.last("dD", "d") == "D"
        self.env = {name: value for name, value in call.env.items() if name not in _VARIABLES}

    def preload(self) -> None:
        """Import what the chain will need, so that workers are born with it."""
        if self.look_up or self.local_host is None:
            resolver.preload()
        chain.preload(self.program, self.path)


class Peer:
    """One connection, as the rules and the log see it."""

    def __init__(self, settings: Settings, connection: socket.socket, address: pool.Address) -> None:
        local = connection.getsockname()
        self.local_ip, self.local_port = numeric(local[0]), b"%d" % local[1]
        self.remote_ip, self.remote_port = numeric(address[0]), b"%d" % address[1]
        self.interface = address[3] if len(address) == 4 else 0
        self.local_host = settings.local_host
        self.remote_host: bytes | None = None
        self.remote_info: bytes | None = None
        if self.local_host is None or settings.look_up:
            self._look_up(settings)
        if settings.ask_ident:
            self.remote_info = ident.ask(
                self.local_ip, int(self.local_port), self.remote_ip, int(self.remote_port), settings.ident_timeout
            )

    def _look_up(self, settings: Settings) -> None:
        names = resolver.Resolver(settings.env)
        if self.local_host is None:
            self.local_host = _name(names, self.local_ip)
        if settings.look_up:
            self.remote_host = _name(names, self.remote_ip)
            if settings.paranoid and self.remote_host is not None and not self._confirmed(names):
                self.remote_host = None
        names.close()

    def _confirmed(self, names: resolver.Resolver) -> bool:
        try:
            look_up = names.ip6 if b":" in self.remote_ip else names.ip4
            return self.remote_ip in look_up(self.remote_host or b"")
        except TemporaryFailure:
            return False

    def environment(self, base: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """The program's environment, before the rules add to it."""
        env = base.copy()
        env[b"PROTO"] = b"TCP6" if b":" in self.remote_ip else b"TCP"
        env[b"TCPLOCALIP"], env[b"TCPLOCALPORT"] = self.local_ip, self.local_port
        env[b"TCPREMOTEIP"], env[b"TCPREMOTEPORT"] = self.remote_ip, self.remote_port
        if self.local_host is not None:
            env[b"TCPLOCALHOST"] = self.local_host
        if self.remote_host is not None:
            env[b"TCPREMOTEHOST"] = self.remote_host
        if self.remote_info is not None:
            env[b"TCPREMOTEINFO"] = self.remote_info
        if b":" in self.remote_ip:
            self._add_ipv6(env)
        return env

    def _add_ipv6(self, env: dict[bytes, bytes]) -> None:
        """The names that the IPv6 forks use beside the others."""
        for name in _VARIABLES_4[1:7]:
            if name in env:
                env[name.replace(b"TCP", b"TCP6")] = env[name]
        if self.interface:
            env[b"TCP6INTERFACE"] = os.fsencode(socket.if_indextoname(self.interface))

    def log(self, verdict: bytes, pid: int) -> bytes:
        """The `ok` or `deny` line."""
        return b"tcpserver: %b %d %b:%b:%b %b:%b:%b:%b\n" % (
            verdict,
            pid,
            _safe(self.local_host),
            self.local_ip,
            self.local_port,
            _safe(self.remote_host),
            self.remote_ip,
            _safe(self.remote_info),
            self.remote_port,
        )


def prepare(settings: Settings, connection: socket.socket) -> None:
    """Socket options and banner, before any look-up.  Raises Dropped."""
    if settings.clear_options:
        try:
            connection.setsockopt(socket.IPPROTO_IP, IP_OPTIONS, b"")
        except OSError:
            pass  # IPv6, or none to clear
    if settings.no_delay:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if settings.banner:
        try:
            streams.write_all(connection.fileno(), settings.banner)
        except OSError as e:
            raise Dropped(f"unable to print banner: {errtext.text(e)}") from e


def judge(settings: Settings, peer: Peer) -> rules.Verdict | None:
    """What the rules say of a peer; None where they say nothing.  Raises Dropped: no rules, no connection."""
    if settings.rules is None:
        return None
    try:
        with rules.Rules.open(settings.rules) as database:
            return database.lookup(peer.remote_ip, peer.remote_host, peer.remote_info)
    except FileNotFoundError as e:
        if settings.rules_may_lack:
            return None
        raise _unreadable(settings.rules, e) from e
    except OSError as e:
        raise _unreadable(settings.rules, e) from e


def _unreadable(file: bytes, error: OSError) -> Dropped:
    return Dropped(f"unable to read {os.fsdecode(file)}: {errtext.text(error)}")


def _name(names: resolver.Resolver, ip: bytes) -> bytes | None:
    try:
        return names.name(ip)
    except TemporaryFailure:
        return None


def numeric(address: str) -> bytes:
    """An address as the kernel gives it, as the rules and the log have it."""
    return ip.unmapped(address.partition("%")[0].encode())


def _safe(field: bytes | None) -> bytes:
    if not field:
        return b""
    shown = field[:LONGEST_FIELD].translate(_SAFE)
    return shown + b"..." if len(field) >= LONGEST_FIELD else shown
