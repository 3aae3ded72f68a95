"""Dates as mail shows them."""

from __future__ import annotations

import pytest

from qmail.core import datestamp


@pytest.mark.parametrize(
    ("now", "header", "from_line"),
    [
        (0, b"1 Jan 1970 00:00:00 -0000", b"Thu Jan 01 00:00:00 1970"),
        (1767323045, b"2 Jan 2026 03:04:05 -0000", b"Fri Jan 02 03:04:05 2026"),
        (1795420500.9, b"23 Nov 2026 07:55:00 -0000", b"Mon Nov 23 07:55:00 2026"),
        (1709210096, b"29 Feb 2024 12:34:56 -0000", b"Thu Feb 29 12:34:56 2024"),
    ],
)
def test_dates_are_utc_and_english(now: float, header: bytes, from_line: bytes) -> None:
    assert datestamp.rfc822(now) == header
    assert datestamp.mbox(now) == from_line
