"""Control files: qmail-control(5)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qmail.core import control


def controls(directory: Path, **files: bytes) -> control.Control:
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return control.Control(os.fsencode(directory))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a.example\n", b"a.example"),
        (b"a.example \t \nsecond\n", b"a.example"),
        (b"  leading blanks stay", b"  leading blanks stay"),
        (b"# no comment\n", b"# no comment"),
        (b"a.example\r\n", b"a.example\r"),
        (b"", b""),
        (b"\nsecond\n", b""),
        (b"x" * 70000 + b"\ny", b"x" * 70000),
    ],
)
def test_a_line_is_the_first_line_stripped_on_the_right(tmp_path: Path, content: bytes, line: bytes) -> None:
    assert controls(tmp_path, f=content).line(b"f") == line


@pytest.mark.parametrize(
    ("content", "number"),
    [
        (b"20\n", 20),
        (b"10 min", 10),
        (b"007", 7),
        (b"", 5),
        (b"-1", 5),
        (b"abc", 5),
        (b" 3", 5),
        (b"0", 0),
        (b"18446744073709551617", 1),
    ],
)
def test_a_number_is_leading_digits_else_the_default(tmp_path: Path, content: bytes, number: int) -> None:
    assert controls(tmp_path, f=content).number(b"f", 5) == number


def test_absent_files_have_defaults(tmp_path: Path) -> None:
    empty = controls(tmp_path)
    assert (empty.line(b"f"), empty.line(b"f", me=True)) == (None, None)
    assert (empty.number(b"f", 7), empty.entries(b"f")) == (7, None)


def test_me_stands_in_only_for_an_absent_file(tmp_path: Path) -> None:
    files = controls(tmp_path, me=b"me.example \n", empty=b"")
    assert files.line(b"helohost", me=True) == b"me.example"
    assert files.line(b"empty", me=True) == b""
    assert files.line(b"helohost") is None


def test_entries_skip_comments_and_empty_lines_and_differ_from_absence(tmp_path: Path) -> None:
    files = controls(tmp_path, f=b"one\n# no\n\n  \t\n #yes\ntwo \t\nlast", none=b"#\n")
    assert files.entries(b"f") == [b"one", b" #yes", b"two", b"last"]
    assert files.entries(b"none") == []


def test_trouble_other_than_absence_is_raised_and_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(IsADirectoryError) as trouble:
        controls(tmp_path).line(b"d")
    assert trouble.value.filename == os.fsencode(tmp_path / "d")


def test_keymap_keeps_the_last_of_equal_keys_and_drops_lines_without_colon() -> None:
    entries = [b"Dup.example:one", b"nocolon", b"dup.EXAMPLE:two:more", b":empty key", b"novalue:"]
    assert control.keymap(entries) == {b"dup.example": b"two:more", b"": b"empty key", b"novalue": b""}


@pytest.mark.parametrize(
    ("domain", "keys"),
    [
        (b"a.b.c", [b"a.b.c", b".b.c", b".c"]),
        (b"plain", [b"plain"]),
        (b".b.c", [b".b.c", b".c"]),
        (b"a..b", [b"a..b", b"..b", b".b"]),
    ],
)
def test_suffixes_start_at_each_dot(domain: bytes, keys: list[bytes]) -> None:
    assert list(control.suffixes(domain)) == keys
