"""What multilog's arguments say about a line.  multilog(8).

A pattern must match the whole line.  `*` before a byte passes over everything up to the first such byte and never
further; at the end of the pattern it passes over everything.  Nothing is escaped: `**` asks for a star in the line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

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


def shown(line: bytes) -> bytes:
    """What action `e` writes."""
    return (line[:SHOWN] + b"..." if len(line) > SHOWN else line) + b"\n"


def status(line: bytes) -> bytes:
    """What action `=` writes: always as much, so that it covers what stood there."""
    return line[:KEPT] + b"\n" * (KEPT + 1 - len(line[:KEPT]))
