"""Command lines as smtpd, popup and pop3d read them."""

from __future__ import annotations

import pytest

from qmail.protocol.commandline import LONGEST, Lines, LineTooLong, split

SPLITS = [
    (b"USER joe", (b"user", b"joe")),
    (b"user joe\r", (b"user", b"joe")),
    (b"user joe\r\r", (b"user", b"joe\r")),
    (b"PASS   two words ", (b"pass", b"two words ")),
    (b"NOOP", (b"noop", b"")),
    (b"", (b"", b"")),
    (b" stat", (b"", b"stat")),
    (b"MAIL\tFROM:<>", (b"mail\tfrom:<>", b"")),
    (b"USER jo\0e\r", (b"user", b"jo")),
    (b"QU\0IT", (b"qu", b"")),
    (b"STAT \xff", (b"stat", b"\xff")),
]


@pytest.mark.parametrize(("line", "expected"), SPLITS)
def test_a_line_is_a_verb_in_any_case_and_the_rest_behind_the_spaces(
    line: bytes, expected: tuple[bytes, bytes]
) -> None:
    assert split(line) == expected


def test_lines_come_whole_however_they_are_cut() -> None:
    data = b"user joe\r\nPASS x\n\nquit"
    slow = Lines()
    pieces = [pair for i in range(len(data)) for pair in slow.receive(data[i : i + 1])]
    assert list(Lines().receive(data)) == pieces == [(b"user", b"joe"), (b"pass", b"x"), (b"", b"")]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_an_endless_line_is_no_line(end: bytes) -> None:
    lines = Lines()
    assert list(lines.receive(b"stat\n" + b"x" * LONGEST)) == [(b"stat", b"")]
    with pytest.raises(LineTooLong):
        list(lines.receive(b"x" + end))
    with pytest.raises(LineTooLong):
        list(Lines().receive(b"x" * (LONGEST + 1) + end))


def test_the_longest_line_is_still_one() -> None:
    assert list(Lines().receive(b"x" * LONGEST + b"\n")) == [(b"x" * LONGEST, b"")]
