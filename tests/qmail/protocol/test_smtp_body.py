from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmail.protocol.smtp_body import BodyEncoder

messages = st.lists(st.sampled_from([b"\r", b"\n", b".", b"x", b"\0", b"\r\n", b"QUIT"]), max_size=40).map(b"".join)


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
    return (
        b"".join((b"." if line.lstrip(b"\0").startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"
    )


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (b".\n..\n.a\nx\r\ny\rz\nw\r\r\n", b"..\r\n...\r\n..a\r\nx\r\ny\r\nz\r\nw\r\n\r\r\n.\r\n"),  # probe 45
        (b"", b".\r\n"),
        (b"a\r", b"a\r\n.\r\n"),
        (b"no newline", None),  # probe 46
        (b"a\r.\r\nQUIT\r\n", b"a\r\n..\r\nQUIT\r\n.\r\n"),  # the original ends the message at this dot
        (b"\0.\n\0\nx\0\0.\n\0\0..\n", b".\0.\r\n\0\r\nx\0\0.\r\n.\0\0..\r\n.\r\n"),
        (b"x\n\0", None),
        (b"a\r\r.\r\r.\n", b"a\r\n\r\n..\r\n\r\n..\r\n.\r\n"),
    ],
)
def test_line_ends_and_dots_are_encoded(message: bytes, wire: bytes | None) -> None:
    for size in (1, 2, 3, 65536):
        assert encode(message, size) == wire


# What a message may hold in place of the end of data, in the hope that the next host takes it for that.
ENDS = {
    "CRLF": b"\r\n.\r\n",
    "LF": b"\n.\n",
    "CR": b"\r.\r",
    "LF CRLF": b"\n.\r\n",
    "CRLF LF": b"\r\n.\n",
    "CR CRLF": b"\r.\r\n",
    "CRLF CR": b"\r\n.\r",
    "CR LF": b"\r.\n",
    "LF CR": b"\n.\r",
    "CR CRLF before": b"\r\r\n.\r\n",
    "CR CRLF behind": b"\r\n.\r\r\n",
    "CR CRLF both": b"\r\r\n.\r\r\n",
    "CR CR": b"\r\r.\r\r",
    "LF CR before": b"\n\r.\r\n",
    "LF CR behind": b"\r\n.\n\r",
    "NUL before the dot": b"\r\n\0.\r\n",
    "NULs before the dot": b"\n\0\0.\n",
    "NUL behind the dot": b"\r\n.\0\r\n",
    "NUL around the dot": b"\n\0.\0\n",
    "NUL in the first CRLF": b"\r\0\n.\r\n",
    "NUL in the second CRLF": b"\r\n.\r\0\n",
    "NUL for a line end": b"\0.\0",
    "NUL behind CR": b"\r\0.\r\0",
    "doubled": b"\r\n..\r\n",
    "twice": b"\r\n.\r\n.\r\n",
    "CR alone, twice": b"\r.\r.\r",
}


def without(dropped: bytes, text: bytes) -> bytes:
    """A receiver that drops some bytes before it looks."""
    return text.translate(None, dropped)


# How receivers are known to read: each gives the data with every line end, as it understands them, as LF.
RECEIVERS = {
    "as RFC 5321": lambda wire: wire.replace(b"\n", b"?").replace(b"\r?", b"\n"),
    "LF too": lambda wire: wire.replace(b"\r\n", b"\n"),
    "CR too": lambda wire: wire.replace(b"\r\n", b"\n").replace(b"\r", b"\n"),
    "CR, but not LF": lambda wire: wire.replace(b"\r\n", b"\r").replace(b"\n", b"?").replace(b"\r", b"\n"),
    "LF CR too": lambda wire: wire.replace(b"\r\n", b"\n").replace(b"\n\r", b"\n").replace(b"\r", b"\n"),
    "any number of CR and LF": lambda wire: re.sub(rb"\r*\n", b"\n", wire),
    "CRs dropped": lambda wire: without(b"\r", wire),
    "NULs dropped": lambda wire: without(b"\0", wire).replace(b"\r\n", b"\n").replace(b"\r", b"\n"),
    "NULs and CRs dropped": lambda wire: without(b"\0\r", wire),
    "NUL for a blank": lambda wire: wire.replace(b"\0", b" ").replace(b"\r\n", b"\n").replace(b"\r", b"\n"),
}


@pytest.mark.parametrize("receiver", RECEIVERS.values(), ids=RECEIVERS)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_no_receiver_finds_a_second_message(end: bytes, receiver: Callable[[bytes], bytes]) -> None:
    smuggled = b"MAIL FROM:<evil@example>\r\n"
    for before in (b"", b"Subject: x\n\ntext", b"Subject: x\r\n\r\ntext"):
        for size in (1, 2, 5, 65536):
            wire = encode(before + end + smuggled + b"\n", size)
            assert wire is not None
            data, ended, rest = (b"\n" + receiver(wire)).partition(b"\n.\n")
            assert ended and not rest
            assert b"MAIL FROM" in data


def test_nuls_without_end_are_not_held() -> None:
    for after in (b".\n", b"\n"):
        encoder = BodyEncoder()
        wire = b"".join(encoder.encode(bytes(50_000)) for _ in range(4)) + encoder.encode(after) + encoder.finish()
        assert len(wire) >= 200_000
        assert wire.replace(b"\0", b"").startswith(b"...")


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
