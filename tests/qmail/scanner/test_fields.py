"""What is changed in the header of a message that is passed on, however its bytes come."""

from __future__ import annotations

import pytest

from qmail.scanner import fields, safe


def rewrite(message: bytes, subject: bytes) -> bytes:
    """The message rewritten, at every cut."""
    whole = b"".join(fields.rewritten([message], subject))
    for step in (1, 2, 3, 7):
        pieces = [message[at : at + step] for at in range(0, len(message), step)]
        assert b"".join(fields.rewritten(pieces, subject)) == whole
    return whole


@pytest.mark.parametrize(
    ("message", "subject", "expected"),
    [
        (b"Subject: x\n\nSubject: y\n", b"SPAM:", b"Subject: SPAM: x\n\nSubject: y\n"),
        (b"sUBJECT:x\n y\nSubject: z\n\n", b"SPAM:", b"sUBJECT: SPAM: x\n y\nSubject: z\n\n"),
        (b"Subject: x\r\n\r\nb", b"SPAM:", b"Subject: SPAM: x\r\n\r\nb"),
        (b"From: x\n\nbody\n", b"SPAM:", b"From: x\nSubject: SPAM:\n\nbody\n"),
        (b"From: x", b"SPAM:", b"From: x\nSubject: SPAM:\n"),
        (b"From: x\n", b"SPAM:", b"From: x\nSubject: SPAM:\n"),
        (b"\nbody", b"SPAM:", b"Subject: SPAM:\n\nbody"),
        (b"", b"SPAM:", b"Subject: SPAM:\n"),
        (b"Subject: x\n\n", b"", b"Subject: x\n\n"),
        (
            b"X-Spam-Flag: YES\nX-SPAM-Level: *\nX-Spam-Report: y\n\n",
            b"",
            b"X-Old-Spam-Flag: YES\nX-Old-SPAM-Level: *\nX-Spam-Report: y\n\n",
        ),
        (b"\nX-Spam-Flag: YES\n", b"", b"\nX-Spam-Flag: YES\n"),
    ],
)
def test_the_subject_is_marked_and_spam_fields_of_others_are_renamed_in_the_header_alone(
    message: bytes, subject: bytes, expected: bytes
) -> None:
    assert rewrite(message, subject) == expected


def test_a_body_goes_through_as_it_is() -> None:
    body = bytes(range(256)) * 1000
    assert rewrite(b"Subject: x\n\n" + body[:3000], b"") == b"Subject: x\n\n" + body[:3000]
    assert b"".join(fields.rewritten([b"a: b\n\n", body, body], b"")) == b"a: b\n\n" + body + body


def test_a_header_line_without_end_is_not_held() -> None:
    line = b"X: " + b"y" * 500000
    seen = list(fields.rewritten([line[at : at + 1000] for at in range(0, len(line), 1000)], b""))
    assert b"".join(seen) == line and len([piece for piece in seen if piece]) > 5


@pytest.mark.parametrize(
    ("value", "text", "word"),
    [
        (b" a  b\t", b"a b", b"a_b"),
        (b"\x1b[2J\r\nx", b"?[2J x", b"?[2J_x"),
        ("é".encode(), b"??", b"??"),
        (b"", b"", b""),
        (bytes(range(32)), b"????????? ??????????????????", b"?????????_??????????????????"),
    ],
)
def test_text_of_strangers_is_made_safe(value: bytes, text: bytes, word: bytes) -> None:
    assert (safe.text(value), safe.word(value)) == (text, word)
