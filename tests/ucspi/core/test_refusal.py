"""The refusal dialogue: every verb, every cut of the input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucspi.core.refusal import RefusalDialogue, message

NO = b"451 no\r\n"
YES = b"250 rblsmtpd.local\r\n"
BYE = b"221 rblsmtpd.local\r\n"


def converse(data: bytes) -> bytes:
    whole, slow = RefusalDialogue(b"451 no"), RefusalDialogue(b"451 no")
    answer = whole.receive(data)
    assert answer == b"".join(slow.receive(data[i : i + 1]) for i in range(len(data)))
    assert whole.finished == slow.finished
    return answer


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        *((verb, YES) for verb in (b"HELO x", b"ehlo", b"MAIL FROM:<>", b"rset", b"NoOp", b"noop \r", b"NOOP\r")),
        *((verb, BYE) for verb in (b"QUIT", b"quit now", b"QUIT\r")),
        *((verb, NO) for verb in (b"RCPT x", b"DATA", b"VRFY", b"HELP", b"STARTTLS", b"AUTH", b"", b" helo", b"\r")),
        *((verb, NO) for verb in (b"MAIL\tx", b"NOOP\r\r", b"NOOP\0", b"MAILX", b"quits", b"x" * 100000)),
        (b"HELO " + b"x" * 100000, YES),
        (b"MAIL FROM:<" + b"\0" * 5000, YES),
    ],
)
def test_a_line_gets_this_reply(line: bytes, reply: bytes) -> None:
    assert RefusalDialogue(b"451 no").receive(line + b"\n") == reply
    if len(line) < 1000:
        assert converse(line + b"\n") == reply


def test_a_pipeline_is_answered_up_to_quit_and_half_a_line_not_at_all() -> None:
    assert converse(b"EHLO x\r\nMAIL\r\nRCPT\r\nquit\r\nNOOP\r\n") == YES + YES + NO + BYE
    assert converse(b"NOOP\nQUIT") == YES


def test_a_line_without_end_is_not_kept() -> None:
    dialogue = RefusalDialogue(b"451 no")
    for _ in range(100):
        dialogue.receive(b"MAIL" * 10000)
    assert len(dialogue._line) <= dialogue.KEPT


@given(st.lists(st.sampled_from([b"HELO", b"quit", b"\r", b"\n", b" ", b"x", b"\0"]), max_size=30).map(b"".join))
def test_cuts_do_not_matter(data: bytes) -> None:
    converse(data)


@pytest.mark.parametrize(
    ("text", "permanent", "line"),
    [
        (b"Go away", False, b"451 Go away"),
        (b"Perm", True, b"553 Perm"),
        (b"", True, b"553 "),
        (b"x" * 300, False, b"451 " + b"x" * 200),
        (b"a\tb\r\nc\xff\x7f~ ", False, b"451 a?b??c??~ "),
    ],
)
def test_the_message_is_one_printable_line(text: bytes, permanent: bool, line: bytes) -> None:
    assert message(text, permanent) == line
