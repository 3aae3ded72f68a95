"""The SMTP conversation with a client that is to be refused.  rblsmtpd(1).  No descriptors, no clock.

The client may greet and name a sender, so that it says who it is; whatever matters gets the refusal."""

from __future__ import annotations

HARMLESS = frozenset((b"helo", b"ehlo", b"mail", b"rset", b"noop"))
LONGEST = 200  # bytes of the text that are sent


def message(text: bytes, permanent: bool) -> bytes:
    """The refusal for a list's or the administrator's text: one line, printable."""
    line = (b"553 " if permanent else b"451 ") + text[:LONGEST]
    return line.translate(_PRINTABLE)


_PRINTABLE = bytes(byte if 32 <= byte <= 126 else 63 for byte in range(256))


class RefusalDialogue:
    """Server side: `greeting`, then replies to whatever comes, until `finished`."""

    __slots__ = ("_line", "_refusal", "finished")
    KEPT = 16  # bytes of a line that can matter: a verb, a space.  A client cannot make us grow.
    greeting = b"220 rblsmtpd.local\r\n"
    WELCOME = b"250 rblsmtpd.local\r\n"
    GOODBYE = b"221 rblsmtpd.local\r\n"

    def __init__(self, refusal: bytes) -> None:
        """`refusal`: the line of `message`."""
        self._refusal = refusal + b"\r\n"
        self._line = b""
        self.finished = False

    def receive(self, data: bytes) -> bytes:
        """The next bytes of the client; returns the replies to all lines that end in them."""
        replies: list[bytes] = []
        *lines, rest = data.split(b"\n")
        for line in lines:
            if self.finished:
                break
            replies.append(self._reply((self._line + line)[: self.KEPT]))
            self._line = b""
        self._line = (self._line + rest)[: self.KEPT]
        return b"".join(replies)

    def _reply(self, line: bytes) -> bytes:
        verb = line.removesuffix(b"\r").partition(b" ")[0].lower()
        if verb in HARMLESS:
            return self.WELCOME
        if verb == b"quit":
            self.finished = True
            return self.GOODBYE
        return self._refusal
