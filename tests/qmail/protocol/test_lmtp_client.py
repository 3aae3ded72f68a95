"""LMTP where it is not SMTP.  RFC 2033."""

from __future__ import annotations

import pytest

from qmail.protocol.lmtp_client import LmtpDialogue
from qmail.protocol.smtp_client import BODY

LHLO = b"250-store\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"


def converse(*replies: bytes, eightbit: bool = False) -> tuple[list[bytes], bytes]:
    """What was said, the message as `BODY`, and the report; whole or byte by byte."""
    ends = []
    for step in (lambda data: [data], lambda data: [data[i : i + 1] for i in range(len(data))]):
        dialogue = LmtpDialogue(b"store", b"me", b"a@b", b"joe", eightbit=eightbit)
        said: list[bytes] = []
        for reply in replies:
            for piece in step(reply) if reply else [b""]:
                for output in dialogue.receive(piece):
                    if output is BODY:
                        dialogue.dot_sent()
                    said.append(output if isinstance(output, bytes) else b"BODY")
        ends.append((said, dialogue.report))
    assert ends[0] == ends[1]
    return ends[0]


def test_it_greets_with_lhlo_and_names_one_recipient() -> None:
    said, report = converse(
        b"220 hi\r\n", LHLO, b"250 ok\r\n250 ok\r\n354 go\r\n", b"250 2.0.0 <joe> Saved\r\n", b"221 bye\r\n"
    )
    assert said == [
        b"LHLO me\r\n", b"MAIL FROM:<a@b>\r\nRCPT TO:<joe>\r\nDATA\r\n", b"BODY", b"QUIT\r\n",
    ]  # fmt: skip
    assert report == b"r\0Kstore accepted message.\nRemote host said: 250 2.0.0 <joe> Saved\n\0"


def test_eight_bits_are_announced_where_they_are_welcome() -> None:
    said, _ = converse(b"220 hi\r\n", LHLO, eightbit=True)
    assert said[1].startswith(b"MAIL FROM:<a@b> BODY=8BITMIME\r\n")


@pytest.mark.parametrize("code", [b"500", b"502", b"421"])
def test_who_does_not_know_lhlo_gets_no_helo_and_no_mail_and_is_tried_again(code: bytes) -> None:
    said, report = converse(b"220 smtp\r\n", code + b" what?\r\n")
    assert said == [b"LHLO me\r\n", b"QUIT\r\n"]
    assert report == b"ZConnected to store but my name was rejected.\nRemote host said: " + code + b" what?\n\0"


@pytest.mark.parametrize(
    ("replies", "start"),
    [
        ((b"250 ok\r\n550 5.1.1 no joe\r\n503 no\r\n",), b"hstore does not like recipient.\n"),
        ((b"250 ok\r\n452 4.2.2 full\r\n503 no\r\n",), b"sstore does not like recipient.\n"),
        ((b"250 ok\r\n250 ok\r\n354 go\r\n", b"552 5.2.2 quota\r\n"), b"r\0Dstore failed after I sent the message.\n"),
        ((b"250 ok\r\n250 ok\r\n354 go\r\n", b"451 later\r\n"), b"r\0Zstore failed after I sent the message.\n"),
        ((b"250 ok\r\n250 ok\r\n354 go\r\n", b""), b"r\0ZConnected to store but connection died. Possible dup"),
    ],
)
def test_what_the_store_says_is_the_report(replies: tuple[bytes, ...], start: bytes) -> None:
    assert converse(b"220 hi\r\n", LHLO, *replies)[1].startswith(start)
