"""Accept TCP connections, and run a program for each.  tcpserver(1).

The program gets the connection as descriptors 0 and 1, and what is known about it in PROTO, TCPLOCALIP,
TCPLOCALPORT, TCPLOCALHOST, TCPREMOTEIP, TCPREMOTEPORT, TCPREMOTEHOST and TCPREMOTEINFO; the rules of -x may
deny the connection or add variables.

Exits 0 on SIGTERM, 100 on bad usage, 111 when it cannot listen."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket

from ucspi.core import chain, connection, crowd, errtext, hostname, pool, scan, streams
from ucspi.core import signals as signal
from ucspi.core.command import Call, Flag, Program, Value, report
from ucspi.core.failure import Failure, TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = Program(
    "tcpserver",
    __doc__,
    options=(
        Flag("1", "Print the local port on descriptor 1."),
        Flag("U", "Take uid and gid from $UID and $GID."),
        Flag("X", "With -x: no rules file means that everybody is welcome."),
        Value("x", "RULES", "Follow the rules that tcprules compiled into RULES."),
        Value("c", "LIMIT", "Serve at most LIMIT connections at a time (40)."),
        Value("b", "BACKLOG", "Let about BACKLOG connections wait (20)."),
        Value("B", "BANNER", "Write BANNER to the client before any look-up."),
        Value("u", "UID", "Switch to this uid, or to this account's, after binding."),
        Value("g", "GID", "Switch to this gid, or to this group's, after binding."),
        Value("l", "NAME", "The local host's name is NAME: do not look it up."),
        Value("t", "SECONDS", "Give the ident server SECONDS (26)."),
        Flag("h", "Look up the client's name (default)."),
        Flag("H", "Do not look it up."),
        Flag("p", "Trust the client's name only if it has the client's address."),
        Flag("P", "Trust it (default)."),
        Flag("r", "Ask the client's ident server (default)."),
        Flag("R", "Do not ask it."),
        Flag("o", "Leave IP options alone."),
        Flag("O", "Clear them (default)."),
        Flag("d", "Leave TCP's delays alone (default)."),
        Flag("D", "Never delay sending."),
        Flag("q", "Print nothing."),
        Flag("Q", "Print errors (default)."),
        Flag("v", "Print errors and status messages."),
        Value("C", "MOST", "Serve at most MOST connections from one address at a time (no limit)."),
        Value("y", "FD", "When ready, write a newline to descriptor FD and close it."),
    ),
    usage="tcpserver [ -1UXpPhHrRoOdDqQv ] [ -c limit ] [ -x rules.cdb ] [ -B banner ] [ -g gid ] [ -u uid ]"
    " [ -b backlog ] [ -l localname ] [ -t timeout ] host port program",
    operands="HOST PORT PROGRAM [ARG]...",
    title=True,
)


LARGEST = 1 << 20  # connections
FIRST_INHERITED = 3  # SD_LISTEN_FDS_START


def tcpserver(call: Call) -> int:
    """Start-up in the original's order: usage, addresses, socket, ids, port on -1, and only then the loop."""
    quiet = call.last("qQv", "Q") == "q"
    try:
        return _serve(call, quiet)
    except Failure as e:
        if quiet:
            return e.exitcode
        raise


def _serve(call: Call, quiet: bool) -> int:
    if len(call.operands) < 2:
        raise UsageFailure
    host, port_word, *program = call.operands
    port = _port(port_word)
    if not program:
        raise UsageFailure
    limit, most = _limit(call, "c", b"40"), _limit(call, "C", b"%d" % (LARGEST - 1))
    uid, gid = _ids(call)
    ready = _readiness(call)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # until the pool has its own: nothing runs that could be left
    backlog = scan.number(call.value("b", b"20") or b"")
    listener = _inherited(call) or _listen(_address(host, call), port, backlog)
    _drop(uid, gid)
    if call.last("1"):
        streams.write_all(1, b"%d\n" % listener.getsockname()[1])
    _forget_stdio()
    settings = connection.Settings(call, program)
    _tell(ready)
    service = _Service(settings, limit, most, quiet=quiet, verbose=call.last("qQv", "Q") == "v")
    service.log(b"tcpserver: status: 0/%d\n" % limit)
    settings.preload()
    return pool.Pool(listener, limit, service, once=bool(call.env.get(chain.EXEC))).run()


def _port(word: bytes) -> int:
    if word.isdigit() or not word:
        return scan.number(word) & 0xFFFF
    try:
        return socket.getservbyname(os.fsdecode(word), "tcp")
    except OSError as e:
        raise TemporaryFailure(f"unable to figure out port number for {os.fsdecode(word)}") from e


def _address(host: bytes, call: Call) -> bytes:
    if host in (b"", b"0"):
        return b"0.0.0.0"
    name = os.fsdecode(host)
    try:
        addresses = hostname.addresses(host, call.env)
    except TemporaryFailure as e:
        raise TemporaryFailure(f"temporarily unable to figure out IP address for {name}: {e}") from e
    if not addresses:
        raise TemporaryFailure(f"no IP address for {name}")
    return addresses[0]


def _limit(call: Call, letter: str, default: bytes) -> int:
    # The original reads -c abc as 0 and then never accepts: here that is a usage error.
    word = call.value(letter, default) or b""
    if not scan.is_number(word) or not 0 < scan.number(word) < LARGEST:
        raise UsageFailure(f"tcpserver: -{letter} must be a number of connections, 1 or more")
    return scan.number(word)


def _inherited(call: Call) -> socket.socket | None:
    """The listener that systemd has opened for this very process, if it has.  sd_listen_fds(3)."""
    pid, count = call.env.pop(b"LISTEN_PID", b""), call.env.pop(b"LISTEN_FDS", b"")
    call.env.pop(b"LISTEN_FDNAMES", None)
    if pid != b"%d" % os.getpid() or not scan.number(count):
        return None
    try:
        listener = socket.socket(fileno=FIRST_INHERITED)
        listener.set_inheritable(False)
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise TemporaryFailure("unable to use inherited socket: it does not listen")
        return listener
    except OSError as e:
        raise TemporaryFailure(f"unable to use inherited socket: {errtext.text(e)}") from e


def _readiness(call: Call) -> int | None:
    """The descriptor of -y.  0, 1 and 2 have other uses, here and in the program."""
    word = call.value("y")
    if word is not None and (not scan.is_number(word) or not 2 < scan.number(word) < LARGEST):
        raise UsageFailure("tcpserver: -y must be the number of a descriptor, 3 or more")
    return None if word is None else scan.number(word)


def _tell(fd: int | None) -> None:
    """Readiness, as s6's notification-fd: a supervisor waits for the newline."""
    if fd is None:
        return
    try:
        os.write(fd, b"\n")
        os.close(fd)
    except OSError as e:
        raise TemporaryFailure(f"unable to write to descriptor {fd}: {errtext.text(e)}") from e


def _ids(call: Call) -> tuple[int, int]:
    """uid and gid to switch to, 0 to stay.  -U stands where it is given: a later -u or -g overrides it."""
    uid = gid = 0
    for letter, value in call.options:
        of_uid = value if letter == "u" else call.env.get(b"UID") if letter == "U" else None
        of_gid = value if letter == "g" else call.env.get(b"GID") if letter == "U" else None
        if of_uid is not None:
            uid = _id(of_uid, "uid", lambda name: pwd.getpwnam(name).pw_uid)
        if of_gid is not None:
            gid = _id(of_gid, "gid", lambda name: grp.getgrnam(name).gr_gid)
    return uid, gid


def _id(word: bytes, kind: str, look_up: Callable[[str], int]) -> int:
    # The original reads `-u nobody` as 0 and stays root: here a name is looked up, or refused.
    if scan.is_number(word):
        return scan.number(word)
    try:
        return look_up(os.fsdecode(word))
    except KeyError:
        raise UsageFailure(f"tcpserver: unknown {kind} {os.fsdecode(word)}") from None


def _listen(address: bytes, port: int, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if b":" in address else socket.AF_INET
    step = "create socket"
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        step = "bind"
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address == b"::":  # all addresses, of both families, whatever the system's default
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((os.fsdecode(address), port))
        step = "get local address"
        listener.getsockname()
        step = "listen"
        listener.listen(min(backlog, 0x7FFFFFFF))
    except OSError as e:
        raise TemporaryFailure(f"unable to {step}: {errtext.text(e)}") from e
    return listener


def _drop(uid: int, gid: int) -> None:
    step = "gid"
    try:
        if gid:
            os.setgroups([gid])
            os.setgid(gid)
        step = "uid"
        if uid:
            os.setuid(uid)
    except (OSError, OverflowError) as e:
        error = e if isinstance(e, OSError) else errno.EINVAL
        raise TemporaryFailure(f"unable to set {step}: {errtext.text(error)}") from e


def _forget_stdio() -> None:
    """The original closes 0 and 1 here.  We fill them, or the next descriptor to be opened would be one of them."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1):
        os.dup2(null, fd)
    if null > 2:
        os.close(null)


class _Service(pool.Service):
    """Connections as the pool hands them over, and the log."""

    def __init__(self, settings: connection.Settings, limit: int, most: int, *, quiet: bool, verbose: bool) -> None:
        self.settings = settings
        self.limit = limit
        self.crowd = crowd.Crowd(limit, most) if most < limit else None
        self.quiet = quiet
        self.verbose = verbose
        self.worker: chain.Process = chain.Process() if settings.env.get(chain.EXEC) else chain.Worker()

    def log(self, lines: bytes) -> None:
        """Status lines, with -v."""
        if self.verbose:
            streams.complain(lines)

    def drop(self, why: str) -> None:
        """A connection, or all of them, cannot be served."""
        if not self.quiet:
            report("tcpserver", f"warning: dropping connection, {why}")

    def accepted(self, pid: int, busy: int) -> None:
        self.log(b"tcpserver: status: %d/%d\n" % (busy, self.limit))

    def ended(self, pid: int, status: int, busy: int, place: int) -> None:
        if self.crowd:
            self.crowd.leave(place)
        self.log(b"tcpserver: end %d status %d\ntcpserver: status: %d/%d\n" % (pid, status, busy, self.limit))

    def trouble(self, error: OSError) -> None:
        self.drop(f"unable to fork: {errtext.text(error)}")

    def serve(self, accepted: socket.socket, address: pool.Address, place: int) -> int:
        pid = os.getpid()
        settings = self.settings
        ip = connection.numeric(address[0])
        self.log(b"tcpserver: pid %d from %b\n" % (pid, ip))
        try:
            if self.crowd and not self.crowd.enter(place, ip):
                raise connection.Dropped(f"too many connections from {ip.decode()}")
            connection.prepare(settings, accepted)
            peer = connection.Peer(settings, accepted, address)
            verdict = connection.judge(settings, peer)
        except connection.Dropped as e:
            self.drop(str(e))
            return connection.DROPPED
        denied = verdict is not None and verdict.deny
        self.log(peer.log(b"deny" if denied else b"ok", pid))
        if denied:
            return connection.DENIED
        env = peer.environment(settings.env)
        if verdict is not None:
            env.update(verdict.variables)
            env.pop(b"", None)  # no program could read a variable without a name, nor CPython hand it on
        for fd in (0, 1):
            os.dup2(accepted.fileno(), fd)
        accepted.close()
        return self.worker.status(self._become, settings.program, env)

    def _become(self, argv: list[bytes], env: dict[bytes, bytes], how: chain.Chain) -> int:
        try:
            how.become(chain.search(argv[0], self.settings.path), argv, env)
        except OSError as e:
            self.drop(f"unable to run {os.fsdecode(argv[0])}: {errtext.text(e)}")
            return 111


main = PROGRAM.entry(tcpserver)
