"""LMTP client: one message for one recipient, handed to a mail store.  RFC 2033, qmail-lmtp(1).

It differs from SMTP in the greeting, LHLO, and in the reply to the final dot: there is one for each recipient that was
accepted.  With one recipient these are the same, so all else is the SMTP client's."""

from __future__ import annotations

from qmail.protocol.smtp_client import Dialogue, extensions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from qmail.protocol.smtp_client import Body, Reply


class LmtpDialogue(Dialogue):
    """One connection, one message, one recipient."""

    __slots__ = ()

    def __init__(self, partner: bytes, name: bytes, sender: bytes, recipient: bytes, *, eightbit: bool = False) -> None:
        super().__init__(partner, name, sender, [recipient], eightbit=eightbit)

    def _greet(self) -> Generator[bytes | Body, Reply, frozenset[bytes]]:
        reply = yield b"LHLO %b\r\n" % self.helo
        if reply.code != 250:  # no HELO: who does not know LHLO speaks SMTP, and would relay
            raise self._nameless(reply)
        return extensions(reply)
