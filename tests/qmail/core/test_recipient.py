"""The lines before a local copy, the environment of programs, and the look for a loop."""

from __future__ import annotations

import pytest

from qmail.core.recipient import Recipient, from_line, has_line, return_path

TO = Recipient(b"tess", b"/home/tess", b"tess-Foo-B.c-d-e", b"-", b"Foo-B.c-d-e", b"a.b.c.example")


def test_programs_are_told_who_where_and_what_is_left_of_the_address() -> None:
    assert TO.environment(b"s@s", 1795420784) == {
        b"USER": b"tess",
        b"HOME": b"/home/tess",
        b"LOCAL": b"tess-Foo-B.c-d-e",
        b"HOST": b"a.b.c.example",
        b"RECIPIENT": b"tess-Foo-B.c-d-e@a.b.c.example",
        b"SENDER": b"s@s",
        b"DTLINE": b"Delivered-To: tess-Foo-B.c-d-e@a.b.c.example\n",
        b"RPLINE": b"Return-Path: <s@s>\n",
        b"UFLINE": b"From s@s Mon Nov 23 07:59:44 2026\n",
        b"EXT": b"Foo-B.c-d-e",
        b"EXT2": b"B.c-d-e",
        b"EXT3": b"d-e",
        b"EXT4": b"e",
        b"HOST2": b"a.b.c",
        b"HOST3": b"a.b",
        b"HOST4": b"a",
    }


def test_a_host_with_few_dots_and_an_extension_with_few_hyphens_run_out() -> None:
    env = Recipient(b"u", b"/", b"u", b"", b"", b"localhost").environment(b"", 0)
    assert [env[name] for name in (b"HOST2", b"HOST3", b"HOST4")] == [b"localhost"] * 3
    assert [env[name] for name in (b"EXT", b"EXT2", b"EXT3", b"EXT4")] == [b""] * 4


def test_return_path_quotes_and_the_from_line_has_no_blanks_in_the_sender() -> None:
    assert return_path(b"a b@s.example") == b'Return-Path: <"a b"@s.example>\n'
    assert return_path(b"") == b"Return-Path: <>\n"
    assert return_path(b"a\nb@s") == b'Return-Path: <"a\\_b"@s>\n'
    assert from_line(b"a b@s.example", 1795420784) == b"From a-b@s.example Mon Nov 23 07:59:44 2026\n"
    assert from_line(b"a\tb\n@s", 1795420784) == b"From a-b-@s Mon Nov 23 07:59:44 2026\n"
    assert from_line(b"", 1795420784) == b"From MAILER-DAEMON Mon Nov 23 07:59:44 2026\n"


def test_newlines_cannot_make_a_header_line() -> None:
    assert Recipient(b"u", b"/", b"a\nb", b"", b"", b"h\n").delivered_to() == b"Delivered-To: a_b@h_\n"


LINE = b"Delivered-To: r@h\n"
HEADERS = [
    (LINE + b"\nbody\n", True),
    (b"Subject: x\n" + LINE + b"Received: y\n\n", True),
    (b"Subject: x\n" + LINE, True),
    (b"Subject: x\n\n" + LINE, False),
    (b"\n" + LINE, False),
    (b"Subject: x\n" + LINE[:-1], False),
    (b"Subject: x\n " + LINE + b"\n", False),
    (b"x" + LINE + b"\n", False),
    (LINE.upper() + b"\n", False),
    (b"Delivered-To: r@h \n\n", False),
    (b"", False),
]


@pytest.mark.parametrize(("message", "expected"), HEADERS)
def test_the_header_is_searched_for_the_very_line_however_it_is_cut(message: bytes, expected: bool) -> None:
    for step in (1, 2, 5, 17, 18, 19, 1000):
        assert has_line(LINE, (message[i : i + step] for i in range(0, len(message), step))) is expected
