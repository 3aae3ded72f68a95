"""DNS questions as djb's client asks them.  ucspi-tcp(7), section "DNS".

    servers    $DNSCACHEIP (addresses joined by dots), else nameserver lines of /etc/resolv.conf, else 127.0.0.1
    rounds     every server in turn with 3 seconds each, then with 11, then with 45
    answers    id, question and a sender that is the server asked; over 512 bytes: ignored; truncated: again over TCP
    failure    rcode other than 0 and 3, or a refused port: the next server at once, but in the second round the
               wait is sat out, so that a server that is starting gets its time
    empty      no such name and no such record are the same: success without records

/etc/hosts is never read.  A question is a `Transaction`, and a `Resolver` drives any number of them at once, so that
five block lists cost the time of the slowest.  dnspython builds questions and reads answers; it is imported when the
first question is asked (100 ms), or by a pool's parent: PRELOAD."""

from __future__ import annotations

import _socket
import errno
import os
import select
import time

from ucspi.core import dnsname, errtext
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import dns.message
    import dns.rdata

PRELOAD = ("dns.message", "dns.rdtypes.IN.A", "dns.rdtypes.ANY.TXT", "dns.rdtypes.ANY.PTR")
ROUNDS = (3.0, 11.0, 45.0)
PATIENT = 1  # the round in which failures are ignored
TCP_TIME = 10.0  # to connect and send; and again to read
LARGEST_UDP = 512
SERVERS = 16
A, PTR, TXT, AAAA = 1, 12, 16, 28


# --- servers


def servers(env: Mapping[bytes, bytes], resolv_conf: str = "/etc/resolv.conf") -> list[str]:
    """Whom to ask."""
    found: list[str] = []
    words = env.get(b"DNSCACHEIP", b"").split(b".")
    for i in range(0, len(words) - 3, 4):
        four = words[i : i + 4]
        if not all(word.isdigit() and len(word) <= 20 for word in four):
            break
        found.append(".".join(str(int(word) & 255) for word in four))
    return found[:SERVERS] or _configured(resolv_conf)[:SERVERS] or ["127.0.0.1"]


def _configured(resolv_conf: str) -> list[str]:
    found: list[str] = []
    try:
        with open(resolv_conf, "rb") as file:
            text = file.read(65536)
    except OSError:
        return found
    for line in text.split(b"\n"):
        if line[:10] == b"nameserver" and line[10:11] in (b" ", b"\t"):
            word = (line[10:].split() or [b""])[0].decode("ascii", "replace")
            if _family(word) is not None:
                found.append(word)
    return found


def _family(address: str) -> int | None:
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, address.partition("%")[0])
        except (OSError, ValueError):
            continue
        return family
    return None


# --- one question


class Transaction:
    """One question on its way; driven by Resolver.  `answer` is the reply, `failure` the errno it ended with."""

    __slots__ = (
        *("_buffer", "_tcp", "_turn", "answer", "deadline", "events", "failure"),
        *("patient", "port", "query", "servers", "socket"),
    )

    def __init__(self, query: bytes, servers: Sequence[str], port: int) -> None:
        self.query, self.servers, self.port = query, servers, port
        self.answer: bytes | None = None
        self.failure = 0
        self.socket: _socket.socket | None = None
        self.events = 0
        self.deadline = 0.0
        self.patient = False
        self._turn = -1  # counts through all rounds and servers
        self._tcp = False
        self._buffer = b""

    @property
    def over(self) -> bool:
        """True when nothing more will come."""
        return self.socket is None and self._turn >= 0

    def close(self) -> None:
        """Give up what is open."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def next(self, now: float, why: int) -> None:
        """Ask the next server; after the last one, end with errno `why`."""
        self.close()
        turns = len(self.servers) * (1 if self._tcp else len(ROUNDS))
        while self._turn + 1 < turns:
            self._turn += 1
            try:
                self._open(now, _socket.SOCK_STREAM if self._tcp else _socket.SOCK_DGRAM)
                return
            except OSError as e:
                why = e.errno or errno.EIO
                self.close()
        self.failure = why
        self._turn = max(self._turn, 0)

    def _open(self, now: float, kind: int) -> None:
        turn = self._turn // len(self.servers)
        server = self.servers[self._turn % len(self.servers)]
        family = _family(server) or _socket.AF_INET
        self.socket = _socket.socket(family, kind | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
        self.patient = not self._tcp and turn == PATIENT
        try:
            self.socket.connect((server, self.port))
        except BlockingIOError:
            pass
        if self._tcp:
            self._buffer = len(self.query).to_bytes(2, "big") + self.query
            self.events, self.deadline = select.POLLOUT, now + TCP_TIME
        else:
            self.socket.send(self.query)
            self.events, self.deadline = select.POLLIN, now + ROUNDS[turn]

    def ready(self, now: float) -> None:
        """The socket has an event."""
        try:
            if not self._tcp:
                self._datagram(now)
            elif self.events == select.POLLOUT:
                self._send(now)
            else:
                self._receive(now)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as e:
            if not self.patient:
                self.next(now, e.errno or errno.EIO)
            else:
                self.events = 0  # sit the wait out

    def _datagram(self, now: float) -> None:
        assert self.socket is not None
        data = self.socket.recv(LARGEST_UDP + 1)
        if len(data) > LARGEST_UDP or not answers(data, self.query):
            return
        if data[3] & 15 not in (0, 3):
            if not self.patient:
                self.next(now, errno.EAGAIN)
        elif data[2] & 2:  # truncated: the same server first, over TCP
            self._tcp = True
            self._turn = self._turn % len(self.servers) - 1
            self.next(now, errno.EAGAIN)
        else:
            self._done(data)

    def _send(self, now: float) -> None:
        assert self.socket is not None
        self._buffer = self._buffer[self.socket.send(self._buffer) :]
        if not self._buffer:
            self.events, self.deadline = select.POLLIN, now + TCP_TIME

    def _receive(self, now: float) -> None:
        assert self.socket is not None
        data = self.socket.recv(65537)
        self._buffer += data
        if not data:
            self.next(now, errno.EPROTO)
        elif len(self._buffer) >= 2:
            length = int.from_bytes(self._buffer[:2], "big")
            message = self._buffer[2 : 2 + length]
            if len(message) < length:
                return
            if answers(message, self.query) and message[3] & 15 in (0, 3):
                self._done(message)
            else:
                self.next(now, errno.EAGAIN)

    def _done(self, answer: bytes) -> None:
        self.answer = answer
        self.close()


def answers(reply: bytes, query: bytes) -> bool:
    """True if `reply` is a reply to `query`: id, the response bit, and the one question, in any case of letters."""
    end = len(query)
    return (
        len(reply) >= end
        and reply[:2] == query[:2]
        and reply[2] & 0x80 != 0
        and reply[4:6] == b"\0\1"
        # The bytes of lengths and types are below 64: lower() changes letters of names only.
        and reply[12:end].lower() == query[12:end].lower()
    )


# --- asking


class Resolver:
    """Asks the servers that an environment names.  They are looked up for each question: resolv.conf may change."""

    __slots__ = ("_env", "_pending", "_port", "_servers")

    def __init__(self, env: Mapping[bytes, bytes], *, servers: Sequence[str] = (), port: int = 53) -> None:
        """`servers`: ask these, whatever the environment says."""
        self._env, self._servers, self._port = env, servers, port
        self._pending: list[Transaction] = []

    def start(self, name: bytes, rdtype: int) -> Transaction:
        """Send a question without waiting for the answer.  TemporaryFailure: no name for DNS."""
        wire = _query(dnsname.labels(name), rdtype)
        transaction = Transaction(wire, self._servers or servers(self._env), self._port)
        transaction.next(time.monotonic(), errno.ETIMEDOUT)
        self._pending.append(transaction)
        return transaction

    def wait(self, transaction: Transaction) -> list[bytes]:
        """The records of the answer, as `records` has them; [] if there are none.  Raises TemporaryFailure.

        While this one is waited for, all others that were started go on."""
        while not transaction.over:
            self._drive()
        if transaction in self._pending:
            self._pending.remove(transaction)
        if transaction.answer is None:
            raise TemporaryFailure(errtext.text(transaction.failure))
        return list(records(transaction.answer, transaction.query))

    def _drive(self) -> None:
        now = time.monotonic()
        poll = select.poll()
        open_ones: dict[int, Transaction] = {}
        soonest = now + max(ROUNDS)
        for transaction in self._pending:
            if transaction.socket is not None:
                soonest = min(soonest, transaction.deadline)
                if transaction.events:
                    fd = transaction.socket.fileno()
                    open_ones[fd] = transaction
                    poll.register(fd, transaction.events)
        happened = poll.poll(max(0.0, soonest - now) * 1000 + 1)
        now = time.monotonic()
        for fd, _ in happened:
            open_ones[fd].ready(now)
        for transaction in self._pending:
            if transaction.socket is not None and transaction.deadline <= now:
                transaction.next(now, errno.ETIMEDOUT)

    def close(self) -> None:
        """Forget all questions that nobody waited for."""
        for transaction in self._pending:
            transaction.close()
        self._pending.clear()

    def ip4(self, name: bytes) -> list[bytes]:
        """IPv4 addresses of a name, in random order."""
        return _shuffled(self.wait(self.start(name, A)))

    def ip6(self, name: bytes) -> list[bytes]:
        """IPv6 addresses of a name, in random order."""
        return _shuffled(self.wait(self.start(name, AAAA)))

    def name(self, ip: bytes) -> bytes | None:
        """The name of an address (IPv4 or IPv6): its first PTR record."""
        names = self.wait(self.start(dnsname.reverse_name(ip), PTR))
        return names[0] if names else None

    name4 = name6 = name

    def txt(self, name: bytes) -> bytes:
        """All strings of all TXT records, joined, printable; empty if there are none."""
        return b"".join(self.wait(self.start(name, TXT)))


def preload() -> None:
    """Import what the first question would import: for a parent, before it forks."""
    for module in PRELOAD:
        __import__(module)


def _query(name: tuple[bytes, ...], rdtype: int) -> bytes:
    import dns.flags
    import dns.message
    import dns.name
    import dns.rdatatype

    question = dns.message.make_query(
        dns.name.Name((*name, b"")),
        dns.rdatatype.RdataType.make(rdtype),
        id=int.from_bytes(os.urandom(2), "big"),
        flags=dns.flags.RD,
    )
    return question.to_wire()


def records(answer: bytes, query: bytes) -> Iterator[bytes]:
    """What the answer section says to the query's type, as bytes; owner names are not looked at, so aliases work.

    A and AAAA: the address; PTR: the name; TXT: its strings joined, made printable.  Raises TemporaryFailure."""
    import dns.exception
    import dns.message

    rdtype = int.from_bytes(query[-4:-2], "big")
    try:
        message = dns.message.from_wire(answer, one_rr_per_rrset=True, ignore_trailing=True)
    except dns.exception.DNSException as e:
        raise TemporaryFailure(errtext.text(errno.EPROTO)) from e
    for rrset in message.answer:
        if rrset.rdtype == rdtype and rrset.rdclass == 1:
            for rdata in rrset:
                yield _text(rdata, rdtype)


def _text(rdata: dns.rdata.Rdata, rdtype: int) -> bytes:
    if rdtype == TXT:
        strings: tuple[bytes, ...] = rdata.strings  # type: ignore[attr-defined]
        return b"".join(strings).translate(_PRINTABLE)
    if rdtype == PTR:
        return dnsname.dotted(rdata.target.labels)  # type: ignore[attr-defined]
    address: str = rdata.address  # type: ignore[attr-defined]
    return address.encode("ascii")


_PRINTABLE = bytes(byte if 32 <= byte <= 126 else 63 for byte in range(256))


def _shuffled(addresses: list[bytes]) -> list[bytes]:
    return sorted(addresses, key=lambda _: os.urandom(4)) if len(addresses) > 1 else addresses
