from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmail.protocol.smtp_body import BodyEncoder

messages = st.lists(st.sampled_from([b"\r", b"\n", b".", b"x", b"\r\n", b"QUIT"]), max_size=40).map(b"".join)


def encode(data: bytes, size: int) -> bytes | None:
    """The wire form, fed in blocks of `size`; None if the message is partial."""
    encoder = BodyEncoder()
    wire = b"".join(encoder.encode(data[at : at + size]) for at in range(0, len(data), size))
    return None if encoder.partial else wire + encoder.finish()


def reference(data: bytes) -> bytes | None:
    """The rules of qmail-smtp.md 3.7 by regular expression, line by line."""
    if data and data[-1:] not in (b"\r", b"\n"):
        return None
    kept = re.sub(rb"\r\r(?=[\r\n])", b"<eol><cr>", data.replace(b"<", b"<lt>"))
    text = re.sub(rb"\r\n|\r|\n", b"<eol>", kept).replace(b"<cr>", b"\r")
    lines = [line.replace(b"<lt>", b"<") for line in text.split(b"<eol>")[:-1]]
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (b".\n..\n.a\nx\r\ny\rz\nw\r\r\n", b"..\r\n...\r\n..a\r\nx\r\ny\r\nz\r\nw\r\n\r\r\n.\r\n"),  # probe 45
        (b"", b".\r\n"),
        (b"a\r", b"a\r\n.\r\n"),
        (b"no newline", None),  # probe 46
        (b"a\r.\r\nQUIT\r\n", b"a\r\n..\r\nQUIT\r\n.\r\n"),  # the original ends the message at this dot
        (b"a\r\r.\r\r.\n", b"a\r\n\r\n..\r\n\r\n..\r\n.\r\n"),
    ],
)
def test_line_ends_and_dots_are_encoded(message: bytes, wire: bytes | None) -> None:
    for size in (1, 2, 3, 65536):
        assert encode(message, size) == wire


@given(messages, st.integers(1, 7))
def test_blocks_of_any_size_give_what_the_rules_give(message: bytes, size: int) -> None:
    assert encode(message, size) == encode(message, 65536) == reference(message)


@given(messages)
def test_no_message_can_end_itself_whatever_a_receiver_takes_for_a_line_end(message: bytes) -> None:
    wire = encode(message, 65536)
    if wire is not None:
        body = b"\n" + wire[: -len(b".\r\n")]
        assert not re.search(rb"[\r\n]\.[\r\n]", body)
        assert not re.search(rb"\r(?!\r?\n)|(?<!\r)\n", body[1:])
