"""Aliases, .forward files, instructions, tables and lists: any bytes mean something or are refused in the known ways."""

from __future__ import annotations

from qmail.core import forwardtable, maillist
from qmail.core.control import Control
from qmail.core.defaultnames import DefaultNames
from qmail.forwarding import newaliases, newinclude, setforward
from qmail.protocol.aliasline import lines, words
from qmail.protocol.token822 import Malformed
from tests.fuzz.harness import assert_linear, fuzz
from ucspi.core.failure import Failure

NAMES = DefaultNames(Control(b"/nonexistent"))
WORDS = [
    b"a",
    b"@",
    b".",
    b",",
    b" ",
    b"(",
    b")",
    b"<",
    b">",
    b":include:",
    b'"',
    b"|p",
    b"/f",
    b"[",
    b"]",
    b"+",
    b"\\",
    b"\n",
    b"#",
    b"owner-",
    b"\0",
]
SEEDS = [b"root: alice, bill\n", b'x: "|p a", :include:l, (c) B <c@d>\n', b"a:\n b\n"]


@fuzz(words=WORDS, seeds=SEEDS, raises=(Failure,))
def test_aliases_are_records_or_refused(data: bytes) -> None:
    for line in newaliases.logical_lines(data):
        for key, value in newaliases.records(line, NAMES):
            assert key[:1] in (b":", b"?") and key == key.lower()
            for command in forwardtable.unpack(value) if key.startswith(b":") else ():
                assert command[:1] in (b"&", b"!", b".", b"/")


@fuzz(words=WORDS, seeds=SEEDS, raises=(Failure,))
def test_an_included_file_is_a_list_that_can_be_printed_or_refused(data: bytes) -> None:
    packed = b"".join(entry + b"\0" for entry in newinclude.entries(data, NAMES))
    assert b"".join(entry + b"\0" for entry in maillist.entries(packed)) == packed


@fuzz(words=WORDS, seeds=SEEDS)
def test_lines_are_all_of_the_text(data: bytes) -> None:
    assert b"".join(lines(data)) == data


@fuzz(
    words=[b"a", b":", b",", b";", b"#", b"\n", b"\\", b"?", b"|", b"&", b"\0"],
    seeds=[b"a@b: ?o, c, |d\\ e;"],
    raises=(Failure,),
)
def test_instructions_are_records_or_refused(data: bytes) -> None:
    for key, value in setforward.records(data):
        assert key[:1] in (b":", b"?") and (key.startswith(b"?") or value.endswith(b"\0"))


@fuzz(seeds=[b"\x08\x08\0\0" + bytes(2044) + b"\1\0\0\0\0\0\0\0:"], raises=(forwardtable.Malformed,))
def test_a_table_has_records_or_is_none(data: bytes) -> None:
    assert sum(len(key) + len(value) for key, value in forwardtable.records(data)) <= len(data)


def test_a_long_line_costs_what_its_length_says() -> None:
    def run(line: bytes) -> None:
        try:
            for _ in words(line):
                pass
        except Malformed:
            pass

    for piece in (b"a ", b"a,", b"(", b"<a>", b"a>", b":include:", b"\\", b'"', b"a<"):
        assert_linear(lambda n, piece=piece: piece * n, run, 4000)  # type: ignore[misc]
    assert_linear(lambda n: b"a: b,c;" * n, lambda text: list(setforward.records(text)), 4000)
