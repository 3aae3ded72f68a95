"""Patterns for addresses."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmail.core.selection import matches


@pytest.mark.parametrize(
    ("pattern", "address", "found"),
    [
        (b"a@b", b"A@B", True),
        (b"a@b", b"a@bc", False),
        (b"", b"", True),
        (b"", b"a", False),
        (b"*", b"", True),
        (b"*@b", b"a@b@b", True),
        (b"*@b", b"a@bb", False),
        (b"a?c@*", b"abc@d", True),
        (b"a?c@*", b"ac@d", False),
        (b"[a]@b", b"a@b", False),
        (b"#@[]", b"#@[]", True),
        (b"*a*a*a*b", b"a" * 5000, False),
    ],
)
def test_a_pattern_matches_from_end_to_end(pattern: bytes, address: bytes, found: bool) -> None:
    assert matches(pattern, address) is found


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_it_agrees_with_the_shell(pattern: str, address: str) -> None:
    assert matches(pattern.encode(), address.encode()) == fnmatch.fnmatchcase(address, pattern)
