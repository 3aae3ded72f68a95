"""What multilog's arguments say about a line.  multilog(8).

A pattern must match the whole line.  `*` before a byte passes over everything up to the first such byte and never
further; at the end of the pattern it passes over everything.  Nothing is escaped: `**` asks for a star in the line.

The last pattern that matches a line decides on it, as each is looked at only where it would change something.  So a
list of patterns is one regular expression, which finds the lines of a whole block: `Selection`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Sequence

KEPT = 1000  # bytes of a line, its label included, that patterns, status files and descriptor 2 get to see
SHOWN = 200


def compile_pattern(pattern: bytes) -> Callable[[bytes], bool]:
    """A function that says whether a line matches."""
    steps: list[tuple[bytes, bytes]] = []  # (byte to find, literal that starts there)
    start, star, rest = pattern.partition(b"*")
    exact = not star
    while star:
        if not rest:
            break
        sought = rest[:1]
        literal, star, following = rest.partition(b"*")
        steps.append((sought, literal))
        rest = following
        exact = not star

    def match(line: bytes) -> bool:
        if not line.startswith(start):
            return False
        at = len(start)
        for sought, literal in steps:
            at = line.find(sought, at)
            if at < 0 or not line.startswith(literal, at):
                return False
            at += len(literal)
        return not exact or at == len(line)

    return match


class Selection:
    """The lines of a block that a list of (`-` or `+`, pattern) selects; for blocks of lines that are all `short`."""

    __slots__ = ("_base", "_others")

    def __init__(self, patterns: Sequence[tuple[bytes, bytes]]) -> None:
        self._base = b"+"  # what holds for a line that none of the other patterns matches
        others: list[tuple[bytes, tuple[bytes, ...]]] = []
        for sign, pattern in patterns:
            if pattern == b"*":
                self._base = sign
                others.clear()
            elif b"\n" not in pattern and (others or sign != self._base):
                others.append((sign, _pieces(pattern)))
        self._others: re.Pattern[bytes] | None = None
        if others:
            import re  # paid by scripts with patterns alone

            # Anchored at the LF before each line: a byte is what a regular expression finds fastest.
            self._others = re.compile(b"\\n" + _unlike(self._base, others))

    def __call__(self, block: bytes) -> bytes:
        """The selected lines of a block of whole lines."""
        if self._others is None:
            return block if self._base == b"+" else b""
        if self._base == b"+":
            return self._others.sub(b"", b"\n" + block)[1:]
        found = self._others.findall(b"\n" + block)
        return b"".join(found)[1:] + b"\n" if found else b""


def _pieces(pattern: bytes) -> tuple[bytes, ...]:
    """A pattern as parts of a regular expression in which nothing is tried twice: a star ends at one place only."""
    from re import escape

    start, star, rest = pattern.partition(b"*")
    found = [escape(start)]
    while star:
        if not rest:
            return (*found, rb"[^\n]*+")
        sought = escape(rest[:1])
        literal, star, rest = rest.partition(b"*")
        found += [rb"[^%b\n]*+" % sought, escape(literal) or rb"(?=\*)"]
    return (*found, rb"(?=\n)")


def _unlike(base: bytes, patterns: Sequence[tuple[bytes, tuple[bytes, ...]]]) -> bytes:
    """A regular expression for lines on which the last pattern that matches has another sign than `base`."""
    found: list[tuple[bytes, ...]] = []
    for sign, pieces in patterns:
        if sign != base:
            found.append(pieces)
        else:
            found = [(b"(?!%b)%b" % (b"".join(pieces), _any_of(found)),)]
    return _any_of(found)


def _any_of(alternatives: Sequence[tuple[bytes, ...]]) -> bytes:
    """An expression for any of them, with what they have in common at the start looked for once."""
    if () in alternatives:
        return b""
    starts: dict[bytes, list[tuple[bytes, ...]]] = {}
    for first, *rest in alternatives:
        starts.setdefault(first, []).append(tuple(rest))
    found = [first + _any_of(rests) for first, rests in starts.items()]
    return b"(?:%b)" % b"|".join(found) if len(found) > 1 else found[0]


def short(block: bytes) -> bool:
    """Has a block of whole lines none that is longer than KEPT?"""
    at = 0
    while at < len(block):
        at = block.rfind(b"\n", at, at + KEPT + 1) + 1
        if not at:
            return False
    return True


def shown(line: bytes) -> bytes:
    """What action `e` writes."""
    return (line[:SHOWN] + b"..." if len(line) > SHOWN else line) + b"\n"


def status(line: bytes) -> bytes:
    """What action `=` writes: always as much, so that it covers what stood there."""
    return line[:KEPT] + b"\n" * (KEPT + 1 - len(line[:KEPT]))
