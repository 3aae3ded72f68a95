"""What the servers' cores (SMTP, QMTP, QMQP) ask and tell whoever drives them, while a mail comes in.

Events; some are questions, whose `answer` is to be set before the next event is asked for:

    Recipient      question: may mail for this address come in?
    Open           question: start a mail in the queue (and write the trace line)?
    Block          the next bytes of the mail
    Close          question: this was all; what does the queue say?
    Refused        for the log: who is not going to get what from whom, and why
    End            the session is over, with this exit code; whatever else the client sent is dropped

A refusal, and the answer to Recipient, is an SMTP reply without its line end: `553 sorry ... (#5.7.1)`.  QMTP, which
knows no codes, shows its text behind D or Z (`letter`), as it shows a queue's result (qqtable)."""

from __future__ import annotations

NO_GATEWAY = b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"
TOO_BIG = b"552 sorry, that message size exceeds my databytes limit (#5.3.4)"


def letter(refusal: bytes) -> bytes:
    """A refusal as QMTP shows it, and as the queue's results look."""
    return (b"D" if refusal.startswith(b"5") else b"Z") + refusal[4:]


class Recipient:
    """May mail for `address` come in, from `sender`?  `helo` as in Open; `relayed`: the client may send to anybody.

    The answer: b"" or the refusal."""

    __slots__ = ("address", "answer", "helo", "relayed", "sender")

    def __init__(self, address: bytes, sender: bytes, helo: bytes | None, relayed: bool) -> None:
        self.address = address
        self.sender = sender
        self.helo = helo
        self.relayed = relayed
        self.answer = b""


class Open:
    """Start a mail.  `helo`: what the client called itself, None if it did not.  Answer False if there is no queue."""

    __slots__ = ("answer", "helo")

    def __init__(self, helo: bytes | None = None) -> None:
        self.helo = helo
        self.answer = False


class Block:
    """The next bytes of the mail, in the form to be stored."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Close:
    """The mail is complete; if `refused` it must not be queued, whatever happens.

    The answer is the queue's result (qqtable), and if that is empty, what stands behind "ok"."""

    __slots__ = ("accepted", "answer", "recipients", "refused", "sender")

    def __init__(self, sender: bytes, recipients: list[bytes], refused: bool) -> None:
        self.sender = sender
        self.recipients = recipients
        self.refused = refused
        self.answer = b"Zqq internal bug (#4.3.0)"
        self.accepted = b""


class Refused:
    """Mail is not taken, because of its sender, its recipient or itself.  None: not known, or all of them."""

    __slots__ = ("recipient", "reply", "sender")

    def __init__(self, sender: bytes | None, recipient: bytes | None, reply: bytes) -> None:
        self.sender = sender
        self.recipient = recipient
        self.reply = reply


class End:
    """The session is over."""

    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        self.code = code


Event = bytes | Recipient | Open | Block | Close | Refused | End
