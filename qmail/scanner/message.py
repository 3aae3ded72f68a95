"""What is known of one message while it is scanned, and how it is called.

Its id is host, seconds, three digits and pid in one word, as `aaa117458766354031732`: the logs, the quarantine and the
names of nameless parts (`1174587663.31732-0.aaa`) are made of it."""

from __future__ import annotations

import os

from qmail.scanner import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qmail.scanner.mime import Walker

LISTED = 40  # files that a log line names
LOCAL = b"127.0.0.1"  # where mail comes from that came over no connection


class Message:
    """One message: where it came from, when, its envelope, and what the walker saw."""

    __slots__ = (
        "began",
        "client",
        "host",
        "id",
        "info",
        "ip",
        "pid",
        "recipients",
        "relay",
        "sender",
        "size",
        "walker",
    )

    def __init__(self, env: Mapping[bytes, bytes], walker: Walker, began: float) -> None:
        """`began`: seconds since 1970."""
        self.began = began
        self.pid = os.getpid()
        self.host = os.fsencode(os.uname().nodename).partition(b".")[0]
        self.id = b"%b%d%03d%d" % (self.host, began, began % 1 * 1000, self.pid)
        self.ip = env.get(b"TCPREMOTEIP") or LOCAL
        self.client = env.get(b"TCPREMOTEHOST") or self.ip
        self.info = env.get(b"TCPREMOTEINFO", b"")
        self.relay = b"RELAYCLIENT" in env or not env.get(b"TCPREMOTEIP")  # what comes from here is ours
        self.walker = walker
        self.size = 0
        self.sender = b""
        self.recipients: Sequence[bytes] = ()

    def field(self, name: bytes) -> bytes:
        """The first header field of that name (small letters), safe; b"" without one."""
        for found, value in self.walker.fields:
            if found == name:
                return safe.text(value)
        return b""

    @property
    def origin(self) -> bytes:
        """`RC:1(192.168.1.22):`: may the client relay (as this host itself may), and its address."""
        return b"RC:%d(%b):" % (self.relay, safe.word(self.ip))

    def attachments(self) -> list[bytes]:
        """`name:size` of what has a name."""
        named = [part for part in self.walker.parts if part.name]
        return [b"%b:%d" % (safe.word(part.name, 200), part.size) for part in named[:LISTED]]

    def files(self) -> list[bytes]:
        """`name:size` of every part, and of the whole message as it was received."""
        found = []
        for number, part in enumerate(self.walker.parts[:LISTED]):
            name = safe.word(part.name, 200) or b"%d.%d-%d.%b" % (self.began, self.pid, number, self.host)
            found.append(b"%b:%d" % (name, part.size))
        return [*found, b"orig-%b:%d" % (self.id, self.size)]
