"""Preprocess and send a mail message.  qmail-inject(8).

Reads the message on descriptor 0, adds what its header lacks, rewrites its addresses and hands it to qmail-queue, or
prints it with -n.  Recipients are the arguments, the header's, or both.
Exits 0 when done, 100 when header, address or command line cannot be read, 111 when a later try may work."""

from __future__ import annotations

import os
import time

from qmail.core import address, instance
from qmail.core.control import Control
from qmail.core.injection import Author, Injection, domain_tokens
from qmail.protocol.address822 import Rewriting
from qmail.protocol.header822 import HeaderReader
from ucspi.core import streams
from ucspi.core.command import Flag, Program, Value
from ucspi.core.failure import PermanentFailure, TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from qmail.core.instance import Instance
    from ucspi.core.command import Call

PROGRAM = Program(
    "qmail-inject",
    __doc__,
    options=(
        Flag("a", "Recipients are the arguments only."),
        Flag("h", "Recipients are the header's only."),
        Flag("A", "Recipients are the arguments, the header's if there are none (default)."),
        Flag("H", "Recipients are the arguments and the header's."),
        Flag("n", "Print the message instead of sending it."),
        Flag("N", "Send the message (default)."),
        Value("f", "SENDER", "Envelope sender."),
    ),
    operands="[RECIPIENT]...",
)


def inject(call: Call) -> int:
    """Send or print one message."""
    home = instance.of(call.env)
    injection = _injection(call.env, Control(home.control))
    for letter, value in call.options:
        if letter == "f" and value is not None:
            injection.set_sender(value)
    strategy = call.last("aAhH", "A")
    if strategy == "A":
        strategy = "a" if call.operands else "h"
    if strategy != "h":
        for operand in call.operands:
            injection.add_recipient(operand)
    message = _message(injection, _input())
    if call.last("nN", "N") == "n":
        _print(injection, message)
    else:
        _send(call, home, injection, message, header=strategy != "a")
    return 0


def _injection(env: Mapping[bytes, bytes], control: Control) -> Injection:
    try:
        lists = _lists(env)
        defaultdomain, defaulthost, plusdomain, idhost = (
            _setting(env, control, name) for name in (b"defaultdomain", b"defaulthost", b"plusdomain", b"idhost")
        )
    except OSError as e:
        raise TemporaryFailure("read error") from e
    rewriting = Rewriting(
        defaultdomain=domain_tokens(b".", defaultdomain),
        defaulthost=domain_tokens(b"@", defaulthost),
        plusdomain=domain_tokens(b".", plusdomain),
    )
    return Injection(Author(env), rewriting, idhost, int(time.time()), os.getpid(), lists)


def _setting(env: Mapping[bytes, bytes], control: Control, name: bytes) -> bytes:
    line = control.line(name, me=True)
    return env.get(b"QMAIL" + name.upper(), name if line is None else line)


def _lists(env: Mapping[bytes, bytes]) -> frozenset[bytes]:
    """The mailing lists that QMAILMFTFILE lists; the file is in the form of a control file."""
    file = env.get(b"QMAILMFTFILE")
    if not file:
        return frozenset()
    directory, name = os.path.split(file)
    return frozenset(line.lower() for line in Control(directory or b".").entries(name) or ())


def _input() -> Iterator[bytes]:
    try:
        yield from streams.blocks(0)
    except OSError as e:
        raise TemporaryFailure("read error") from e


def _message(injection: Injection, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The message as it goes out, in pieces.  At the first of them the header has been read to its end."""
    reader = HeaderReader()
    for block in blocks:
        for field in reader.receive(block):
            injection.field(field)
        if reader.body is not None:
            break
    for field in reader.finish():
        injection.field(field)
    yield b"".join(injection.finish())
    last = reader.body or b"\n"
    if reader.body is not None:
        yield reader.body
    for last in blocks:
        yield last
    if not last.endswith(b"\n"):
        yield b"\n"


def _print(injection: Injection, message: Iterator[bytes]) -> None:
    try:
        header = next(message)
        sender, _ = injection.envelope(header=False)
        streams.write_all(1, b"Return-Path: <%b>\n%b" % (address.quote(sender), header))
        for piece in message:
            streams.write_all(1, piece)
    except BrokenPipeError:
        return  # `qmail-inject -n | head` is no failure
    except OSError as e:
        raise TemporaryFailure(f"unable to write the message: {e.strerror}") from e


def _send(call: Call, home: Instance, injection: Injection, message: Iterable[bytes], header: bool) -> None:
    from qmail.core.submit import open_queue  # not needed by -n

    pieces = iter(message)
    first = next(pieces)  # before the queue is troubled: the header may be unreadable
    try:
        submission = open_queue(call, home)
    except OSError as e:
        raise TemporaryFailure("unable to run qmail-queue") from e
    try:
        submission.write(first)
        for piece in pieces:
            submission.write(piece)
    except BaseException:
        submission.abandon()
        raise
    result = submission.close(*injection.envelope(header))
    if result:
        text = os.fsdecode(result[1:])
        raise PermanentFailure(text) if result[:1] == b"D" else TemporaryFailure(text)


main = PROGRAM.entry(inject)
