"""Tokens of header fields: spec qmail-smtp 6.3."""

from __future__ import annotations

import time

import pytest

from qmail.protocol.token822 import Malformed, parse, unparse, unquote

TOKENS = [
    (b"", []),
    (b" \t\r\n", []),
    (b"a.b@c", [(b"a", b"a"), (b".", b""), (b"a", b"b"), (b"@", b""), (b"a", b"c")]),
    (b"a b", [(b"a", b"a"), (b"a", b"b")]),
    (b"<>,:;", [(b"<", b""), (b">", b""), (b",", b""), (b":", b""), (b";", b"")]),
    (b'"a b"c', [(b'"', b"a b"), (b"a", b"c")]),
    (b'"\\"\\\\\\x"', [(b'"', b'"\\x')]),
    (b"(a (b) \\) c)", [(b"(", b"a b ) c")]),
    (b"[1.2]x", [(b"[", b"1.2"), (b"a", b"x")]),
    (b"[a [b]", [(b"[", b"a [b")]),
    (b"a\\,b\\ c", [(b"a", b"a,b c")]),
    (b"\\a", [(b"a", b"a")]),
    (b"\\", [(b"a", b"")]),
    (b"a\\", [(b"a", b"a")]),
    (b"a)b]", [(b'"', b"a)b]")]),
    (b"J\xf6rg", [(b'"', b"J\xf6rg")]),
    (b"\x01", [(b'"', b"\x01")]),
    (b"\x7f", [(b'"', b"\x7f")]),
    (b"a\0b", [(b'"', b"a\0b")]),
    (b"a\\\\b", [(b'"', b"a\\b")]),
]


@pytest.mark.parametrize(("field", "tokens"), TOKENS)
def test_text_becomes_tokens(field: bytes, tokens: list[tuple[bytes, bytes]]) -> None:
    assert parse(field) == tokens


@pytest.mark.parametrize("field", [b"(", b"((a)", b'"', b'"a\\"', b'"a\\', b"[", b"[a\\", b"a )", b"]", b"(\\"])
def test_an_open_bracket_or_a_lone_closing_one_is_malformed(field: bytes) -> None:
    with pytest.raises(Malformed):
        parse(field)


PRINTED = [
    (b"To:a@b", b"To: a@b\n"),
    (b"To: J. Q. Public <x@y.z>(c)", b"To: J.Q.Public <x@y.z>(c)\n"),
    (b"To: a <b> (c) d", b"To: a <b>(c) d\n"),
    (b"To: ( a ( b ) \\( )", b"To: ( a  b  \\( )\n"),
    (b"To: a)b, [x\\]y]", b'To: "a\\)b", [x\\]y]\n'),
    (b'To: "a\n b"', b'To: "a\\\n b"\n'),
    (b"To: g:;,,a,", b"To: g: ;, , a,\n"),
    (b"To:", b"To:\n"),
]


@pytest.mark.parametrize(("field", "printed"), PRINTED)
def test_tokens_are_printed(field: bytes, printed: bytes) -> None:
    assert unparse(parse(field)) == printed


@pytest.mark.parametrize(("field", "printed"), PRINTED)
def test_what_was_printed_reads_the_same(field: bytes, printed: bytes) -> None:
    assert unquote(parse(printed)) == unquote(parse(field))


@pytest.mark.parametrize(("columns", "first"), [(78, b"To: %b, bcd,"), (79, b"To: %b,")])
def test_a_line_is_filled_to_78_columns_with_its_comma(columns: int, first: bytes) -> None:
    word = b"a" * (columns - len("To: , bcd,"))
    assert unparse(parse(b"To: %b, bcd, efg" % word)).split(b"\n")[0] == first % word


def test_folded_lines_are_filled_too() -> None:
    for length, lines in ((35, [2, 2, 1]), (36, [1, 2, 2]), (37, [1, 1, 1, 2]), (38, [1] * 5)):
        words = unparse(parse(b"To: " + b", ".join([b"x" * length] * 5))).splitlines()
        assert [line.count(b"x" * length) for line in words] == lines
        assert max(map(len, words)) <= 78


def test_a_comma_at_the_end_of_a_full_line_leaves_an_empty_one() -> None:
    assert unparse(parse(b"To: " + b"x" * 74 + b",")) == b"To: " + b"x" * 74 + b",\n \n"


MEANT = [
    (b'"a b"@c (d)', b"a b@c"),
    (b"u@[1.2.3.4]", b"u@[1.2.3.4]"),
    (b"a . b @ c . d", b"a.b@c.d"),
    (b"<@r,@s:u@h>;", b"<@r,@s:u@h>;"),
]


@pytest.mark.parametrize(("field", "meant"), MEANT)
def test_an_address_without_quotes_is_what_the_envelope_wants(field: bytes, meant: bytes) -> None:
    assert unquote(parse(field)) == meant


@pytest.mark.parametrize("piece", [b"(", b'"a" ', b"\\", b"[]", b"()", b"a,", b"(\\()", b"a\\"])
def test_a_megabyte_takes_no_more_than_linear_time(piece: bytes) -> None:
    start = time.process_time()
    try:
        unparse(parse(piece * (1_000_000 // len(piece))))
    except Malformed:
        pass
    assert time.process_time() - start < 10  # a quadratic one would take hours
