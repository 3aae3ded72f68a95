"""The decoder of mail data against spec qmail-smtp 2.5, and against a slow reading of it byte by byte."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qmail.protocol.smtp_data import BareLF, DataDecoder

Outcome = tuple[bytes, bytes | None, int, bool]


def decode(pieces: list[bytes]) -> Outcome:
    """Stored bytes, what followed the end (None: no end yet), hops, and whether a bare LF stopped it."""
    decoder, stored = DataDecoder(), b""
    for at, piece in enumerate(pieces):
        try:
            stored += decoder.feed(piece)
        except BareLF:
            return b"", None, 0, True
        if decoder.rest is not None:
            assert decoder.size == len(stored)
            return stored, decoder.rest + b"".join(pieces[at + 1 :]), decoder.hops, False
    return stored, None, decoder.hops, False


def by_the_byte(data: bytes) -> Outcome:
    """The table of spec 2.5, one state and one byte at a time."""
    stored, state, header, line, hops = bytearray(), "start", True, bytearray(), 0
    for at in range(len(data)):
        byte = data[at : at + 1]
        line += byte
        if header:
            if bytes(line).lower() in (b"received", b"delivered"):
                hops += 1
            if line == b"\r\n":
                header = False
        if state == "dot cr" and byte == b"\n":
            return bytes(stored), data[at + 1 :], hops, False
        if state == "dot cr":
            stored += b"."
            state = "cr"
        if byte == b"\n":
            if state != "cr":
                return b"", None, 0, True
            stored += b"\n"
            state, line = "start", bytearray()
            continue
        if state == "cr":
            stored += b"\r"
        if byte == b"\r":
            state = "dot cr" if state == "dot" else "cr"
        elif byte == b"." and state == "start":
            state = "dot"
        else:
            stored += byte
            state = "middle"
    return bytes(stored), None, hops, False


BODIES = [
    (b".\r\n", b"", b""),
    (b"Subject: t\r\n\r\nhello\r\n..dot\r\n.x\r\n.\r\nQUIT\r\n", b"Subject: t\n\nhello\n.dot\nx\n", b"QUIT\r\n"),
    # probe 13
    (b"a\rb\r\rc\r\r\nd\r\n.\rx\r\n.\r\r\ny\r\n.\r\n", b"a\rb\r\rc\r\nd\n.\rx\n.\r\ny\n", b""),
    (b"..\r\n.\r\n", b".\n", b""),
    (b"...\r\n.\r\n.\r\n", b"..\n", b".\r\n"),
    (b"\0\xff\r\n.\0\r\n.\r\n", b"\0\xff\n\0\n", b""),
    (b"a.\r\n.b.\r\n.\r\n", b"a.\nb.\n", b""),
    (b"\r\n\r\n.\r\n\n", b"\n\n", b"\n"),
    (b"\r.\r\n.\r\n", b"\r.\n", b""),
    (b".\r.\r\n.\r\n", b".\r.\n", b""),
    (b".\r\r\r\n.\r\n", b".\r\r\n", b""),
]


@pytest.mark.parametrize(("wire", "stored", "rest"), BODIES)
def test_data_is_stored_as_the_spec_says_wherever_it_is_cut(wire: bytes, stored: bytes, rest: bytes) -> None:
    assert decode([wire])[:2] == (stored, rest)
    assert decode([wire[i : i + 1] for i in range(len(wire))])[:2] == (stored, rest)
    for cut in range(len(wire)):
        assert decode([wire[:cut], wire[cut:]])[:2] == (stored, rest)


@pytest.mark.parametrize(
    "wire",
    [
        b"\n",
        b"hello\nworld\r\n.\r\n",
        b"hello\r\n.\n",
        b"x\r\n\n.\r\n",
        b".\n",
        b"..\n",
        b"a\r\n.\rb\n",
        b"a\r\n.x\n\r\n.\r\n",
    ],
)
def test_a_bare_newline_stops_the_mail_wherever_it_is_cut(wire: bytes) -> None:
    assert decode([wire])[3]
    assert decode([wire[i : i + 1] for i in range(len(wire))])[3]


def test_a_bare_newline_is_told_at_once_and_not_at_the_next_block() -> None:
    decoder = DataDecoder()
    decoder.feed(b"a\r\n.")
    with pytest.raises(BareLF):
        decoder.feed(b"\n")


def test_a_bare_newline_behind_the_end_is_not_the_decoders_business() -> None:
    assert decode([b"x\r\n.\r\nnoop\n"]) == (b"x\n", b"noop\n", 0, False)


@pytest.mark.parametrize(
    ("header", "hops"),
    [
        (b"Received: x\r\n" * 99, 99),
        (b"Received: x\r\n" * 100, 100),
        (b"delivered\r\n" * 100, 100),
        (b"rEcEiVeDzzz\r\n" * 100, 100),
        (b"Received-SPF: x\r\nDELIVEREDX\r\n", 2),
        (b".Received: x\r\n..Received: x\r\n" * 9, 0),
        (b" Received: x\r\nX-Received: x\r\ndelivere\r\nreceive\r\n", 0),
        (b"\r\n" + b"Received: x\r\n" * 9, 0),
        (b"A: b\r\n\r\r\nReceived: x\r\n", 1),  # CR CR LF is no empty line
        (b"A: b\r\n\r\nReceived: x\r\n", 0),
        (b"received\rreceived\r\n", 1),
        (b".\rx\r\nReceived: x\r\n", 1),
    ],
)
def test_hops_are_lines_of_the_header_that_start_as_trace_fields_do(header: bytes, hops: int) -> None:
    wire = header + b"\r\nReceived: in the body\r\n.\r\n"
    assert decode([wire])[2] == hops
    assert decode([wire[i : i + 1] for i in range(len(wire))])[2] == hops


TOKENS = st.sampled_from(
    [b"\r\n", b"\r\n", b"\r", b".", b"..", b"\r\n.", b"\r\n.\r", b"\r\n\r\n", b"a", b"Received", b"delivered", b"recei",
     b"\0", b"\xff"]
)  # fmt: skip
WIRES = st.lists(TOKENS | st.just(b"\n"), max_size=30).map(b"".join) | st.lists(TOKENS, max_size=60).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(WIRES, st.randoms(use_true_random=False))
@example(b"\r\n.\r\r\n.\r\n", random.Random(1))
def test_any_bytes_in_any_pieces_come_out_as_byte_by_byte(wire: bytes, chance: random.Random) -> None:
    cuts = sorted(chance.randrange(len(wire) + 1) for _ in range(chance.randrange(8)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    expected = by_the_byte(wire)
    for way in ([wire], pieces, [wire[i : i + 1] for i in range(len(wire))]):
        stored, rest, hops, bare = decode(way)
        assert (rest, bare) == (expected[1], expected[3])
        if bare:
            continue
        if rest is not None:
            assert (stored, hops) == (expected[0], expected[2])
        else:  # what the last bytes are is still open: a newline, or a dot and a return
            assert expected[0].startswith(stored) and len(expected[0]) - len(stored) <= 1


def test_a_large_mail_is_decoded_at_the_speed_of_memory() -> None:
    line = b"Some seventy bytes of ordinary text, as mail has them in its lines ..\r\n"
    block = (b"." + line + line * 20) * 45
    decoder, began = DataDecoder(), time.perf_counter()
    for _ in range(300):
        decoder.feed(block)
    took = time.perf_counter() - began
    assert decoder.feed(b".\r\n") == b"\n"
    assert decoder.size == 300 * 45 * 21 * (len(line) - 1)
    assert len(block) * 300 / took > 20e6  # ten times slower than the slowest machine at hand, and far above per-byte
