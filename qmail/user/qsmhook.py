"""Run a mailer as sendmail runs it, from a .qmail file.  qsmhook(1).

    | qsmhook [-DFlMmnPs] [-x prefix] program [arg ...]

In each word `%g` stands for the sender, `%h` for the host, `%u` for the local part and `%%` for a percent sign.  The
program reads the message, after UFLINE (not with -n), RPLINE (with -P) and DTLINE (with -l).
Exits as the program does; 100 on bad usage or if there is no such program, 111 if a later try may work."""

from __future__ import annotations

from qmail.core import child
from ucspi.core import errtext, streams
from ucspi.core.command import Call, Flag, Program, Value
from ucspi.core.failure import PermanentFailure, TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_IGNORED = "Ignored."
PROGRAM = Program(
    "qsmhook",
    __doc__,
    options=(
        Flag("n", "No From_ line."),
        Flag("P", "A Return-Path line."),
        Flag("l", "A Delivered-To line."),
        Value("x", "PREFIX", "Take this off the local part."),
        *(Flag(letter, _IGNORED) for letter in "DFMms"),
    ),
    operands="PROGRAM [ARG]...",
)
VARIABLES = (b"DTLINE", b"RPLINE", b"UFLINE", b"LOCAL", b"HOST", b"SENDER")


def qsmhook(call: Call) -> int:
    """The program."""
    try:
        dtline, rpline, ufline, local, host, sender = (call.env[name] for name in VARIABLES)
    except KeyError:
        raise PermanentFailure("incorrect usage") from None
    if not call.operands:
        raise PermanentFailure("incorrect usage")
    for letter, value in call.options:
        if letter == "x" and value is not None and local.lower().startswith(value.lower()):
            local = local[len(value) :]
    meanings = {b"%": b"%", b"g": sender, b"h": host, b"u": local}
    lines = (ufline * (not call.last("n")), rpline * bool(call.last("P")), dtline * bool(call.last("l")))
    try:
        program = child.Fed(call, [expand(word, meanings) for word in call.operands])
    except OSError as e:
        if errtext.is_temporary(e):
            raise TemporaryFailure("temporary problem") from e
        raise PermanentFailure("command not found") from e
    try:
        program.write(lines)
        for block in _message():
            program.write([block])
    except OSError:
        pass  # the program need not read all
    try:
        return program.finish()
    except TemporaryFailure as e:
        raise TemporaryFailure("temporary problem") from e


def expand(word: bytes, meanings: Mapping[bytes, bytes]) -> bytes:
    """A word with each `%` and its letter replaced; letters without a meaning vanish."""
    first, *rest = word.split(b"%")
    parts = [first]
    while rest:
        part = rest.pop(0)
        if part:
            parts += [meanings.get(part[:1], b""), part[1:]]
        elif rest:  # two in a row
            parts += [meanings[b"%"], rest.pop(0)]
    return b"".join(parts)


def _message() -> Iterator[bytes]:
    try:
        yield from streams.blocks(0)
    except OSError as e:
        raise TemporaryFailure("unable to read message") from e


main = PROGRAM.entry(qsmhook)
