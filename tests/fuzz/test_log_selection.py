"""multilog: the lines that a script selects from a block are those that its patterns select one by one."""

from __future__ import annotations

from tests.fuzz.harness import fuzz
from ucspi.core import logscript

WORDS = (
    b"\xff",
    b"-*",
    b"+*",
    b"-a*",
    b"+*b",
    b"+* fatal: *",
    b"**",
    b"\xfe",
    b"\n",
    b"a",
    b"b",
    b"]",
    b"^",
    b"\\",
    b"x: fatal: y",
)


def one_by_one(patterns: list[tuple[bytes, bytes]], line: bytes) -> bool:
    """multilog(8): each pattern is looked at where it would change something."""
    selected = True
    for sign, pattern in patterns:
        if selected != (sign == b"+") and logscript.compile_pattern(pattern)(line):
            selected = not selected
    return selected


@fuzz(
    words=WORDS,
    seeds=[b"-*\xff+* fatal: *\xfex: fatal: y\nz\n", b"-a*\xff+*b\xfeab\nb\na\n", b"+***\xff-**b\xfe*b\n"],
    examples=600,
)
def test_a_block_is_selected_from_as_its_lines_are(data: bytes) -> None:
    script, _, text = data.partition(b"\xfe")
    patterns = [(b"-" if word[:1] == b"-" else b"+", word[1:]) for word in script.split(b"\xff")]
    lines = text.split(b"\n")
    block = b"".join(line + b"\n" for line in lines)
    expected = b"".join(line + b"\n" for line in lines if one_by_one(patterns, line))
    assert logscript.short(block) == all(len(line) <= logscript.KEPT for line in lines)
    assert logscript.Selection(patterns)(block) == expected
