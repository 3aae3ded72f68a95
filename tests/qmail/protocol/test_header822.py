"""Reading a header: spec qmail-smtp 6.2 and probe 74; whole, byte by byte, and with all that follows."""

from __future__ import annotations

import pytest

from qmail.protocol.header822 import HeaderReader, field_name


def read(message: bytes, size: int) -> tuple[list[bytes], bytes | None]:
    reader = HeaderReader()
    fields: list[bytes] = []
    rest = b""
    for at in range(0, len(message), size):
        piece = message[at : at + size]
        if reader.body is None:
            fields += reader.receive(piece)
        else:
            rest += piece
    fields += reader.finish()
    return fields, None if reader.body is None else reader.body + rest


MESSAGES = [
    (b"", [], None),
    (b"A: b", [b"A: b\n"], None),
    (b"A: b\n", [b"A: b\n"], None),
    (b"A: b\n c\n\td\nE: f\n", [b"A: b\n c\n\td\n", b"E: f\n"], None),
    (b"A: b\n \nE:\n\n", [b"A: b\n \n", b"E:\n"], b"\n"),
    (b"A: b\n\nbody\n\nmore", [b"A: b\n"], b"\nbody\n\nmore"),
    (b"\nbody", [], b"\nbody"),
    (b"A: b\nno field\nC: d\n", [b"A: b\n"], b"\nno field\nC: d\n"),
    (b"A: b\nlast", [b"A: b\n"], b"\nlast\n"),
    (b" A: b\n", [], b"\n A: b\n"),
    (b"A: b\r\n\r\nC", [b"A: b\r\n"], b"\n\r\nC"),
    (b"From x y\n z\nA: b\n", [b"MBOX-Line: From x y\n z\n", b"A: b\n"], None),
    (b"From : x\n", [b"MBOX-Line: From : x\n"], None),
    (b"A \t: b\n", [b"A \t: b\n"], None),
    (b": b\n", [], b"\n: b\n"),
    (b"A b: c\n", [], b"\nA b: c\n"),
    (b"A\x7f: c\n", [], b"\nA\x7f: c\n"),
    (b"A\0\n", [], b"\nA\0\n"),
]


@pytest.mark.parametrize(("message", "fields", "body"), MESSAGES)
def test_fields_and_body_are_told_apart(message: bytes, fields: list[bytes], body: bytes | None) -> None:
    for size in (1, 2, 3, 1000):
        assert read(message, size) == (fields, body)


def test_a_field_is_given_as_soon_as_the_next_line_is_known() -> None:
    reader = HeaderReader()
    assert reader.receive(b"A: b\nB: c\n d") == [b"A: b\n"]
    assert reader.receive(b"\n") == []
    assert reader.receive(b"C:\n") == [b"B: c\n d\n"]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b"To: x\n", b"to"),
        (b"TO \t: x\n", b"to"),
        (b"X-Y:z", b"x-y"),
        (b"X Y: z\n", b""),
        (b"nothing\n", b""),
        (b":\n", b""),
        (b" :\n", b""),
        (b"J\xf6: x\n", b""),
    ],
)
def test_names_are_compared_in_small_letters_without_blanks(field: bytes, name: bytes) -> None:
    assert field_name(field) == name
