"""A conversation with the SMTP server core, in a world with IP addresses of its own."""

from __future__ import annotations

from qmail.protocol import smtp_server as smtp
from tests.support import mailworld

GREETING = b"mail.example.org"
START = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<x@mail.example.org>\r\nDATA\r\n"
OK, GO = b"250 ok\r\n", b"354 go ahead\r\n"
TAKEN = b"250 ok 1795420376 qp 4675\r\n"
MAIL_FIRST, RCPT_FIRST = b"503 MAIL first (#5.5.1)\r\n", b"503 RCPT first (#5.5.1)\r\n"
NO_GATEWAY = b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\r\n"
BMF = b"553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)\r\n"
UNIMPLEMENTED = b"502 unimplemented (#5.5.1)\r\n"
SYNTAX = b"555 syntax error (#5.5.4)\r\n"
TOO_BIG = b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"
STRAY = b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"


class World(mailworld.World):
    """A world with IP addresses of its own."""

    def __init__(self, *, own: frozenset[bytes] = frozenset((b"127.0.0.1", b"2001:db8::1")), **given: object) -> None:
        super().__init__(**{"accepted": b"1795420376 qp 4675", **given})  # type: ignore[arg-type]
        self.own = own

    def other(self, event: object) -> None:
        assert isinstance(event, smtp.Own)
        event.answer = event.ip in self.own


def say(session: smtp.Session, world: World, data: bytes) -> bytes:
    return world.say(session.receive, data)


def converse(data: bytes, world: World | None = None, **given: object) -> bytes:
    """The replies to `data`; the same whether it comes whole, byte by byte, or in pieces."""
    settings = smtp.Settings(GREETING, **given)  # type: ignore[arg-type]
    return mailworld.converse(lambda: smtp.Session(settings).receive, data, world or World())


def sender_of(line: bytes, **given: object) -> bytes:
    world = World()
    converse(line + b"\r\nRCPT <x>\r\nDATA\r\n.\r\n", world, **given)
    return world.mails[0][0]


def recipients_of(*lines: bytes, **given: object) -> list[bytes]:
    world = World()
    converse(b"MAIL FROM:<>\r\n" + b"".join(b"%b\r\n" % line for line in lines) + b"DATA\r\n.\r\n", world, **given)
    return world.mails[0][1]
