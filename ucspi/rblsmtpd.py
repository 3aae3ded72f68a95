"""Refuse mail from listed addresses, else become the next program.  rblsmtpd(1).

Reads TCPREMOTEIP and RBLSMTPD; speaks SMTP on descriptors 0 and 1 only when it refuses.
Exits 0 after a refusal, 100 on bad usage, 111 when the next program cannot be run."""

from __future__ import annotations

import os
import time

from ucspi.core import following, refusal, scan, streams
from ucspi.core import signals as signal
from ucspi.core.command import Call, Flag, Program, Value
from ucspi.core.failure import TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ucspi.core.resolver import Resolver, Transaction

TROUBLE = b"temporary RBL lookup error"

PROGRAM = Program(
    "rblsmtpd",
    __doc__,
    options=(
        Value("r", "BASE", "Refuse addresses with a TXT record under BASE."),
        Value("a", "BASE", "Accept addresses with an A record under BASE."),
        Flag("b", "Refuse with 553: the client is to bounce."),
        Flag("B", "Refuse with 451: the client is to try again (default)."),
        Flag("c", "Refuse with 451 when a list cannot be asked."),
        Flag("C", "Accept when a list cannot be asked (default)."),
        Value("t", "SECONDS", "Time for the whole conversation with a refused client (60)."),
    ),
    usage="rblsmtpd [ -b ] [ -R ] [ -t timeout ] [ -r base ] [ -a base ] smtpd [ arg ... ]",
    operands="PROGRAM [ARGS]...",
    preload=("ucspi.core.resolver", "dns.message", "dns.rdtypes.ANY.TXT", "dns.rdtypes.IN.A"),
)


def administrator(value: bytes) -> bytes | None:
    """What RBLSMTPD says: the refusal, or None to accept."""
    if not value:
        return None
    permanent = value.startswith(b"-")
    return refusal.message(value[1:] if permanent else value, permanent)


class Question:
    """One -r or -a, with the -b and -c that stand before it."""

    __slots__ = ("against", "base", "bounce", "closed")

    def __init__(self, against: bool, base: bytes, bounce: bool, closed: bool) -> None:
        self.against, self.base, self.bounce, self.closed = against, base, bounce, closed


def questions(options: list[tuple[str, bytes | None]]) -> list[Question]:
    """The lists to ask, in command-line order."""
    found: list[Question] = []
    bounce = closed = False
    for letter, value in options:
        if letter in "bB":
            bounce = letter == "b"
        elif letter in "cC":
            closed = letter == "c"
        elif letter in "ra":
            found.append(Question(letter == "r", value or b"", bounce, closed))
    return found


def reversed_ip(ip: bytes) -> bytes:
    """The address as the lists have it, each part with a dot behind; any text is turned round, as the original does."""
    if b":" in ip:
        from ucspi.core import dnsname

        try:
            return dnsname.nibbles(ip)
        except (OSError, ValueError):
            pass  # no address, so no list has it
    parts = ip.split(b".")
    if not parts[0]:
        del parts[0]
    return b"".join(part + b"." for part in reversed(parts))


def lists(asked: list[Question], call: Call) -> bytes | None:
    """Ask all lists at once and judge in command-line order.  Returns the refusal, or None to accept."""
    from ucspi.core import resolver  # with dnspython behind it: not for connections that nobody looks up

    asking = resolver.Resolver(call.env)
    prefix = reversed_ip(call.env.get(b"TCPREMOTEIP", b""))
    try:
        sent = [_ask(asking, prefix + q.base, resolver.TXT if q.against else resolver.A) for q in asked]
        return judge(asked, lambda i: b"".join(asking.wait(_sent(sent[i]))))
    finally:
        asking.close()


def _ask(asking: Resolver, name: bytes, rdtype: int) -> Transaction | TemporaryFailure:
    try:
        return asking.start(name, rdtype)
    except TemporaryFailure as e:  # no name for DNS; its turn to matter may never come
        return e


def _sent(sent: Transaction | TemporaryFailure) -> Transaction:
    if isinstance(sent, TemporaryFailure):
        raise sent
    return sent


def judge(asked: list[Question], answer: Callable[[int], bytes]) -> bytes | None:
    """The decision; `answer(i)` gives the text of list i (empty: not listed) or raises TemporaryFailure."""
    trouble = False  # once a list could not be asked, no refusal is for good: a later, wrong one may have decided
    for i, question in enumerate(asked):
        try:
            text = answer(i)
        except TemporaryFailure:
            trouble = True
            if question.against and question.closed:
                return refusal.message(TROUBLE, False)
            if not question.against and not question.closed:
                return None
            continue
        if text and not question.against:
            return None
        if text:
            return refusal.message(text, question.bounce and not trouble)
    return None


def converse(message: bytes, timeout: int) -> None:
    """Hold the refused client for at most `timeout` seconds in all; 0: tell it and go."""
    if not timeout:
        streams.write_all(1, message + b"\r\n")
        return
    dialogue = refusal.RefusalDialogue(message)
    deadline = time.monotonic() + timeout
    out = dialogue.greeting
    while True:
        streams.write_within(1, out, max(0.0, deadline - time.monotonic()))
        if dialogue.finished:
            return
        data = streams.read_within(0, 4096, max(0.0, deadline - time.monotonic()))
        if not data:
            return
        out = dialogue.receive(data)


def rblsmtpd(call: Call) -> int:
    """Decide; refuse, or become the next program."""
    said = call.env.get(b"RBLSMTPD")
    if not call.operands:
        raise UsageFailure("")
    if said is not None:
        message = administrator(said)
    else:
        asked = questions(call.options)
        message = lists(asked, call) if asked else None
    if message is None:
        following.run(call, call.operands)
    call.warn(b"%b pid %d: %b" % (call.env.get(b"TCPREMOTEIP", b""), os.getpid(), message))
    timeout = call.value("t")
    before = signal.signal(signal.SIGALRM, _give_up)  # the original's clock, and so a way to end it
    try:
        converse(message, 60 if timeout is None else scan.number(timeout))
    except OSError:
        pass  # gone, or out of time: the client's loss, and exit code 0 either way
    finally:
        signal.signal(signal.SIGALRM, before)
    return 0


def _give_up(*_: object) -> None:
    raise TimeoutError


main = PROGRAM.entry(rblsmtpd)
