from __future__ import annotations

import pytest

from qmail.core import remotereport


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (b"r\0Kok\n\0", b"Kok\n"),
        (b"htext\n\0DGiving up\n\0", b"Dtext\nGiving up\n"),
        (b"htext\n\0Kok\n\0", b"Dtext\n"),
        (b"stext\n\0Kok\n\0", b"Ztext\n"),
        (b"stext\n\0DGiving up\n\0", b"Ztext\nGiving up\n"),
        (b"rok\0Dlater\n\0", b"Doklater\n"),
        (b"r\0Zdied\n\0", b"Zdied\n"),
        (b"Zno host\n\0", b"Zno host\n"),
        (b"Dno host\n\0", b"Dno host\n"),
        (b"Q\0Xyz\0", b"D"),
        (b"no end", b"D"),
        (b"some", b"Z"),
        (b"h", b"D"),
        (b"K", b"D"),
    ],
)
def test_items_become_one_report(output: bytes, expected: bytes) -> None:
    assert remotereport.delivery(0, output) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (9, b"Zqmail-remote crashed.\n"),
        (139, b"Zqmail-remote crashed.\n"),
        (0, b"Zqmail-remote produced no output.\n"),
        (111 << 8, b"ZUnable to run qmail-remote.\n"),
        (100 << 8, b"DUnable to run qmail-remote.\n"),
        # The original calls these permanent.  Ours does not: they say that the installation is broken.
        (1 << 8, b"ZUnable to run qmail-remote.\n"),
        (126 << 8, b"ZUnable to run qmail-remote.\n"),
        (127 << 8, b"ZUnable to run qmail-remote.\n"),
    ],
)
def test_a_program_that_failed_has_a_report_too(status: int, expected: bytes) -> None:
    assert remotereport.delivery(status, b"") == expected
