"""What the statistics programs have in common: from descriptor 0 to descriptor 1."""

from __future__ import annotations

import gc

from ucspi.core import errtext, streams
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qmail.analog.core.tallies import Tally
    from ucspi.core.command import Call

# The modules behind these are loaded when there is something to do: --help and --version need none of them.


def plain(call: Call, tally: str, *args: str) -> int:
    """The bare table of a tally, by the name of its class."""
    put_lines(_tallied(call, tally, *args).lines())
    return 0


def report(call: Call, tally: str, *args: str, spaced: bool = False) -> int:
    """The same with its heading, sorted and aligned; `spaced`: underscores stand for blanks."""
    made = _tallied(call, tally, *args)
    table(call, made.arranged(made.lines()), spaced=spaced)
    return 0


def table(call: Call, lines: list[str], *, spaced: bool = False) -> None:
    """The heading of this program, and the lines aligned below its column names."""
    from qmail.analog.core import columns
    from qmail.analog.core.headings import HEADINGS

    text, names = HEADINGS[call.name]
    aligned = columns.align("\n".join([names, *lines, ""]).encode("latin-1"))
    put(text.encode() + (aligned.replace(b"_", b" ") if spaced else aligned))


def _tallied(call: Call, name: str, *args: str) -> Tally:
    from qmail.analog.core import tallies

    return tallied(call, getattr(tallies, name)(*args))


def tallied(call: Call, tally: Tally) -> Tally:
    """The tally, of everything on descriptor 0."""
    from qmail.analog.core.records import Records

    records = Records(tally.deliveries, tally.messages)
    gc.disable()  # the tables hold many objects and no cycles
    try:
        for block in blocks():
            tally.receive(*records.receive(block))
        tally.receive(*records.end())
    finally:
        gc.enable()
    if records.odd:
        call.warn(f"warning: {records.odd} lines are not matchup's, but counted")
    return tally


def blocks() -> Iterator[bytes]:
    """Descriptor 0, to its end."""
    try:
        yield from streams.blocks(0)
    except OSError as e:
        raise TemporaryFailure(f"unable to read input: {errtext.text(e)}") from e


def lines() -> Iterator[bytes]:
    """Lines of descriptor 0 without their newlines; the last one may lack its own."""
    rest: list[bytes] = []
    for block in blocks():
        *whole, last = block.split(b"\n")
        if whole:
            yield b"".join([*rest, whole[0]])
            yield from whole[1:]
            rest = []
        rest.append(last)
    if last := b"".join(rest):
        yield last


def whole_lines() -> Iterator[bytes]:
    """Blocks of whole lines; the last one may lack its newline."""
    rest: list[bytes] = []
    for block in blocks():
        cut = block.rfind(b"\n") + 1
        if cut:
            yield b"".join([*rest, block[:cut]])
            rest = []
        rest.append(block[cut:])
    if last := b"".join(rest):
        yield last


def select(wanted: Callable[[list[bytes]], bool]) -> int:
    """Copy the lines of deliveries and messages that are wanted, by their fields."""
    out: list[bytes] = []
    size = 0
    for line in lines():
        if line.startswith((b"d", b"m")):
            fields = [field for field in line.replace(b"\t", b" ").split(b" ") if field]
            if wanted(fields + [b""] * (11 - len(fields))):
                out.append(line + b"\n")
                size += len(line)
                if size > streams.BLOCK:
                    put(b"".join(out))
                    out, size = [], 0
    put(b"".join(out))
    return 0


def put_lines(text: list[str]) -> None:
    """Lines to descriptor 1."""
    put("".join(f"{line}\n" for line in text).encode("latin-1"))


def put(data: bytes, fd: int = 1, what: str = "output") -> None:
    """All of `data`."""
    try:
        streams.write_all(fd, data)
    except OSError as e:
        raise TemporaryFailure(f"unable to write {what}: {errtext.text(e)}") from e
