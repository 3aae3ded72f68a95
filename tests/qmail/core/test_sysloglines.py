"""Lines of a log made into syslog messages."""

from __future__ import annotations

import itertools

import pytest

from qmail.core.sysloglines import SyslogLines

FIRST = 1795421085471185000


def messages(data: bytes) -> list[tuple[int, str]]:
    """The same whole and byte by byte, with a clock that a microsecond passes on at every look."""
    whole, slow = (SyslogLines(itertools.count(FIRST, 1000).__next__) for _ in range(2))
    result = list(whole.receive(data))
    assert result == [m for i in range(len(data)) for m in slow.receive(data[i : i + 1])]
    return result


A, B, C = "1795421085.471185", "1795421085.471186", "1795421085.471187"
LOGS = [
    (b"status: local 0/10\n", [(6, f"{A} status: local 0/10")]),
    (b"warning: trouble\nalert: oh no\n", [(4, f"{A} warning: trouble"), (1, f"{B} alert: oh no")]),
    (
        b"Warning: x\n alert: x\nalert\n",
        [(6, f"{A} Warning: x"), (6, f"{B}  alert: x"), (6, f"{C} alert")],
    ),
    (b"\n\n\n", []),
    (b"a\tb\0c\xe9\x7f~\r\n", [(6, f"{A} a?b?c??~?")]),
    (b"whole\nabc", [(6, f"{A} whole")]),
    (b"c" * 1700 + b"\n", [(6, f"{A} " + "c" * 799), (6, f"{A}+" + "c" * 799), (6, f"{A}+" + "c" * 102)]),
    (b"c" * 799 + b"\nx\n", [(6, f"{A} " + "c" * 799), (6, f"{B} x")]),
    (b"c" * 799, []),
    (b"c" * 800, [(6, f"{A} " + "c" * 799)]),
    (b"warning: " + b"c" * 800 + b"\n", [(4, f"{A} warning: " + "c" * 790), (4, f"{A}+" + "c" * 10)]),
]


@pytest.mark.parametrize(("data", "expected"), LOGS)
def test_log(data: bytes, expected: list[tuple[int, str]]) -> None:
    assert messages(data) == expected


def test_a_line_without_end_is_held_in_pieces() -> None:
    lines = SyslogLines(lambda: FIRST)
    count = sum(1 for _ in range(50) for _ in lines.receive(b"x" * 100000))
    assert count == (50 * 100000 - 1) // 799
