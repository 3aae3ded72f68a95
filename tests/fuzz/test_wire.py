"""What strangers send to the programs of ucspi-tcp: DNS replies, ident answers, SMTP to rblsmtpd, line ends."""

from __future__ import annotations

import re

from tests.fuzz.harness import cuts, fuzz, same
from ucspi.core import dnsname, ident, newlines, refusal, resolver
from ucspi.core.failure import TemporaryFailure

QUERY = b"\0\1\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\x10\0\1"
HEAD = b"\0\1\x81\x80\0\1\0\1\0\0\0\0" + QUERY[12:]


@fuzz(
    words=(b"\xc0\x0c", b"\0\x10\0\1", b"\0\0\0\0", b"\0\5", b"\4text", b"\xc0\x1b", b"\0\x0c\0\1"),
    seeds=[b"\xc0\x0c\0\x10\0\1\0\0\0\0\0\5\4text", b"\xc0\x1b\0\x10\0\1\0\0\0\0\0\1\0"],
    raises=(TemporaryFailure,),
)
def test_a_dns_reply_of_any_bytes_is_read_or_is_a_temporary_failure(data: bytes) -> None:
    reply = HEAD + data
    assert resolver.answers(reply, QUERY)
    for text in resolver.records(reply, QUERY):
        assert not re.search(rb"[^ -~]", text)


@fuzz(words=(b".", b"\\", b"\\056", b"a", b"\xff"), seeds=[b"a.b\\045.example."], raises=(TemporaryFailure,))
def test_a_name_of_any_bytes_is_labels_that_dns_can_carry(data: bytes) -> None:
    labels = dnsname.labels(data)
    assert all(0 < len(label) < 64 for label in labels) and sum(map(len, labels)) + len(labels) < 255
    assert dnsname.labels(dnsname.dotted(labels)) == tuple(label.lower() for label in labels)


@fuzz(words=(b":", b" ", b"\t", b"\r", b"\n", b"\0", b"USERID", b"UNIX"), seeds=[b"1 , 2 : USERID : UNIX : joe\r\n"])
def test_an_ident_answer_of_any_bytes_is_a_value_for_a_variable(data: bytes) -> None:
    user = ident.user(data)
    assert len(user) <= ident.LONGEST and not re.search(rb"[\0\n\r\t ]", user)


@fuzz(
    words=(b"HELO", b"MAIL", b"RCPT", b"QUIT", b" ", b"\r\n", b"\n", b"\0"),
    seeds=[b"EHLO x\r\nRCPT TO:<a>\r\nQUIT\r\n"],
)
def test_the_refused_hear_the_same_in_whatever_pieces_they_talk(data: bytes) -> None:
    def heard(pieces: list[bytes]) -> tuple[bytes, bool]:
        dialogue = refusal.RefusalDialogue(b"451 no")
        said = b"".join([b"" if dialogue.finished else dialogue.receive(piece) for piece in pieces])
        return said, dialogue.finished

    outcomes = [heard(pieces) for pieces in cuts(data)]
    same(outcomes)
    assert set(outcomes[0][0].splitlines()) <= {b"250 rblsmtpd.local", b"451 no", b"221 rblsmtpd.local"}


@fuzz(words=(b"\r", b"\n", b"\r\n", b"a"), seeds=[b"a\r\nb\nc\r"])
def test_line_ends_are_mended_in_whatever_pieces_they_come(data: bytes) -> None:
    for pieces in cuts(data):
        fix, remove = newlines.Fixer(), newlines.Remover()
        assert b"".join([fix(piece) for piece in pieces]) == re.sub(rb"(?<!\r)\n", b"\r\n", data)
        assert b"".join([*[remove(piece) for piece in pieces], remove.close()]) == data.replace(b"\r\n", b"\n")
        assert b"".join([newlines.add(piece) for piece in pieces]) == data.replace(b"\n", b"\r\n")
