"""Lines of matchup read together give what they give one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmail.analog.core import records

DELIVERY, MESSAGE = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11), (2, 3, 4, 5, 6, 7, 8, 9, 10)
SOUND = [
    "d k 1700000000.000001 1700000000.5 1700000000.123456 700 <a@b> local.c@d 20 0 did_1+0+0/",
    "d k 1700000000.000001 1700000000.500000 1700000000.123456 700 <a@b> local.c@d 20 0 did_1+0+0/",
    "d d 1700000001.000001 1700000001.500000 1700000001.123456 7 <> remote.c@d 20 1000 no",
    "d z 1700000001.000000001 1700000001.500000000 1700000001.123456789 07 ? remote.c@d ? ? no",
    "m 1700000000.000001 1700000000.999999 700 1 0 100 <a@b> 20 0",
    "m 1700000000.000001 1700000000.999999 1 20 300 4 <> 20 0",
]
WORDS = [
    "d",
    "m",
    "k",
    "z",
    "0",
    "7",
    "007",
    "1_0",
    "\xb2",
    "1.5",
    "1.500",
    "1e2.5",
    "5.",
    "",
    "",
    "\t",
    "<a@b>",
    "x\r",
]


class OneByOne(records.Lines):
    """Without the way for many."""

    def together(self, lines: list[str]) -> list[records.Column] | None:
        return None if lines and self._wanted else super().together(lines)


def odd() -> st.SearchStrategy[str]:
    """Lines of any words, and sound ones with a word put in place of another."""
    replaced = st.builds(
        lambda line, i, word: " ".join([*line.split(" ")[:i], word, *line.split(" ")[i + 1 :]]),
        st.sampled_from(SOUND), st.integers(1, 12), st.sampled_from(WORDS),
    )  # fmt: skip
    return replaced | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


LINES = st.lists(st.sampled_from(SOUND) | odd(), max_size=6) | st.lists(st.sampled_from(SOUND[1:3] + SOUND[4:]))


@given(LINES, st.sets(st.sampled_from(DELIVERY), max_size=5), st.sets(st.sampled_from(MESSAGE), max_size=5))
def test_lines_together_and_lines_one_by_one_agree(lines: list[str], d: set[int], m: set[int]) -> None:
    for letter, fields, wanted in ("d", records.DELIVERY, sorted(d)), ("m", records.MESSAGE, sorted(m)):
        some = [line for line in lines if line.startswith(letter)]
        together, one_by_one = records.Lines(letter, fields, wanted), OneByOne(letter, fields, wanted)
        assert [list(c) for c in together.columns(some)] == [list(c) for c in one_by_one.columns(some)]


@given(st.integers(0, 2**40), st.integers(0, 9), st.data())
def test_seconds_are_the_nearest_to_what_is_written(seconds: int, digits: int, data: st.DataObject) -> None:
    stamp = f"{seconds}.{data.draw(st.integers(0, 10 ** (digits + 1) - 1)):0{digits + 1}d}"
    lines = records.Lines("m", records.MESSAGE, (2, 3))
    assert lines.columns([f"m {stamp} {stamp} 1 1 0 0 <> 1 1"]) == [[float(stamp)]] * 2
    assert lines.odd == 0


@given(st.lists(st.sampled_from(SOUND)).map(lambda lines: "\n".join(lines).encode()), st.integers(1, 200))
def test_cuts_between_reads_do_not_matter(data: bytes, step: int) -> None:
    whole, slow = records.Records(DELIVERY, MESSAGE), records.Records(DELIVERY, MESSAGE)
    pieces = [slow.receive(data[i : i + step]) for i in range(0, len(data), step)] + [slow.end()]
    expected = [whole.receive(data), whole.end()]
    for kind in 0, 1:
        assert rows(part[kind] for part in pieces) == rows(part[kind] for part in expected)


def rows(parts: object) -> list[tuple[object, ...]]:
    return [row for columns in parts for row in zip(*columns, strict=True)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("line", "row", "odd"),
    [
        ("d k 1.5 2.5 4.0 10 <a> local.b 3 4 x y", ("k", 1.5, 4.0, 10, "x"), 0),
        ("d k 1.5 2.5 4.0 10 <a> local.b 3 4 ", ("k", 1.5, 4.0, 10, ""), 0),
        ("d kx 1.5 2.5 4 10b <a> local.b", ("k", 1.5, 4.0, 10, ""), 1),
        ("dk", ("", 0.0, 0.0, 0, ""), 1),
        ("d  d 1e3.5 @4 1_0 -2\t<a>", ("d", 1000.0, 1.0, -2, ""), 1),
        (f"d k 1.5 2.5 4.0 {'9' * 5000} <a> local.b 3 4 x", ("k", 1.5, 4.0, 0, "x"), 0),
        ("d k 1.5 2.5 4.0 1e999 <a> local.b 3 4 x", ("k", 1.5, 4.0, 0, "x"), 1),
    ],
)
def test_what_awk_makes_of_a_line(line: str, row: tuple[object, ...], odd: int) -> None:
    lines = records.Lines("d", records.DELIVERY, (2, 3, 5, 6, 11))
    assert [tuple(r) for r in zip(*lines.columns([line]), strict=True)] == [row]
    assert lines.odd == odd
