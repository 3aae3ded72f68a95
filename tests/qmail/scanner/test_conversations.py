"""What is said to the engines and understood of their answers, at every cut; no sockets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from qmail.scanner.clamd import Clamd
from qmail.scanner.conversation import Conversation
from qmail.scanner.rspamd import Rspamd
from qmail.scanner.spamd import Rewriting, Spamd
from qmail.scanner.store import Store
from qmail.scanner.verdict import Infected, Scored, Trouble, Verdict

NO_ANSWER = Trouble(b"x", b"closed the connection without an answer")


def hear(make: Callable[[], Conversation], data: bytes) -> Verdict:
    whole, slow = make(), make()
    whole.receive(data)
    step = 1 if len(data) < 2000 else 997
    for at in range(0, len(data), step):
        if slow.receive(data[at : at + step]):
            break
    assert slow.verdict() == whole.verdict()
    return whole.verdict()


def test_clamd_gets_the_message_in_chunks_with_their_length() -> None:
    sent = b"".join(Clamd(b"x").requests(5, [b"abc", b"de"]))
    assert sent == b"zINSTREAM\0" + b"\0\0\0\3abc" + b"\0\0\0\2de" + b"\0\0\0\0"
    assert b"".join(Clamd(b"x").requests(0, [])) == b"zINSTREAM\0\0\0\0\0"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [  # spec qmail-scanner 13, P1 and P2, as a real clamd 1.4.6 answered
        (b"stream: Eicar-Test-Signature.UNOFFICIAL FOUND\0", Infected(b"x", b"Eicar-Test-Signature.UNOFFICIAL")),
        (b"stream: OK\0", Verdict(b"x")),
        (b"INSTREAM size limit exceeded. ERROR\0", Trouble(b"x", b"INSTREAM size limit exceeded. ERROR")),
        (b"COMMAND READ TIMED OUT\n", Trouble(b"x", b"COMMAND READ TIMED OUT")),
        (b"UNKNOWN COMMAND\0", Trouble(b"x", b"UNKNOWN COMMAND")),
        (b"", NO_ANSWER),
        (b"\0", Trouble(b"x", b"what does it mean: \0")),
        (b"stream: OK", Verdict(b"x")),
        # answers twice
        (b"stream: OK\0stream: A FOUND\0", Infected(b"x", b"A")),
        (b"f: x. ERROR\0f: OK\0", Trouble(b"x", b"f: x. ERROR")),
        (b"stream: OK\0nonsense\0", Trouble(b"x", b"nonsense")),
        (b"stream: a: b FOUND\0", Infected(b"x", b"b")),
        (b"stream: OK FOUND\0", Infected(b"x", b"OK")),
        (b"stream: OK\0" * 6000, Trouble(b"x", b"the answer is too long")),
    ],
)
def test_what_clamd_answers(answer: bytes, verdict: Verdict) -> None:
    assert hear(lambda: Clamd(b"x"), answer) == verdict


def test_spamd_is_asked_in_its_own_line_ends() -> None:
    assert b"".join(Spamd(b"x").requests(5, [b"ab", b"cde"])) == b"CHECK SPAMC/1.5\r\nContent-length: 5\r\n\r\nabcde"
    assert b"\r\nUser: a@b\r\n" in b"".join(Spamd(b"x", b"a@b").requests(0, []))


@pytest.mark.parametrize("user", [b"a\r\nX: y", b"a b", b"a\n", b"\xff@b", b""])
def test_a_recipient_cannot_write_lines_to_spamd(user: bytes) -> None:
    assert b"User" not in b"".join(Spamd(b"x", user).requests(0, []))


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [  # spec qmail-scanner 12 and 13, P5 and P6, as a real spamd 4.0.1 answered
        (b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1000.0 / 5.0\r\n\r\n", Scored(b"x", True, b"1000.0", b"5.0")),
        (b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; -1.3 / 5.0\r\n\r\n", Scored(b"x", False, b"-1.3", b"5.0")),
        (b"SPAMD/1.1 0 EX_OK\r\nSpam: Yes ; 6 / 5.0\r\n\r\nreport", Scored(b"x", True, b"6", b"5.0")),
        (
            b"SPAMD/1.0 76 Bad header line: FOO SPAMC/1.5\r\n",
            Trouble(b"x", b"SPAMD/1.0 76 Bad header line: FOO SPAMC/1.5"),
        ),
        (b"", NO_ANSWER),
        (b"SPAMD/1.5 0 PONG\r\n", Trouble(b"x", b"what does it mean: SPAMD/1.5 0 PONG\r\n")),
    ],
)
def test_what_spamd_answers(answer: bytes, verdict: Verdict) -> None:
    assert hear(lambda: Spamd(b"x"), answer) == verdict


@pytest.mark.parametrize(
    "answer",
    [
        b"220 smtp\r\n",
        b"SPAMD/1.1 zero EX_OK\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: Perhaps ; 1 / 5\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; nan / 5\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: True\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1 / 5\r\nSpam: False ; 1 / 5\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; 1 / 5\r\n\r\n" * 2,
        b"SPAMD/1.1 0 EX_OK\r\nX: " + b"y" * 70000,
    ],
)
def test_what_is_no_answer_of_spamd_is_trouble(answer: bytes) -> None:
    assert isinstance(hear(lambda: Spamd(b"x"), answer), Trouble)


def returned(
    message: bytes, length: int | None = None, result: bytes = b"Spam: True ; 7.4 / 5.0\r\n", more: bytes = b""
) -> bytes:
    said = b"Content-length: %d\r\n" % (len(message) if length is None else length)
    return b"SPAMD/1.1 0 EX_OK\r\n" + said + result + more + b"\r\n" + message


MARKED = b"X-Spam-Status: Yes, score=7.4\nSubject: x\n\nhello\r\n\r\nyou\n"


def test_spamd_is_asked_for_the_message_and_it_is_kept_at_every_cut(tmp_path: Path) -> None:
    kept: list[Store] = []

    def make() -> Rewriting:
        kept.append(Store(os.fsencode(tmp_path)))
        conversation = Rewriting(b"x", b"a@b", kept[-1])
        sent = b"".join(conversation.requests(5, [b"ab", b"cde"]))
        assert sent == b"PROCESS SPAMC/1.5\r\nContent-length: 5\r\nUser: a@b\r\n\r\nabcde"
        return conversation

    assert hear(make, returned(MARKED)) == Scored(b"x", True, b"7.4", b"5.0")
    assert [b"".join(store.blocks()) for store in kept] == [MARKED, MARKED]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (returned(MARKED, len(MARKED) + 1), b"another length"),  # cut short
        (returned(MARKED, len(MARKED) - 1), b"another length"),
        (returned(MARKED, more=b"Content-length: 3\r\n"), b"another length"),
        (returned(b""), b"another length"),  # no message is made of nothing
        (b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 7.4 / 5.0\r\n\r\n" + MARKED, b"another length"),
        (returned(MARKED, result=b""), b"what does it mean"),
        (returned(MARKED, result=b"Spam: Perhaps ; 1 / 5\r\n"), b"what does it mean"),
        (returned(b"x" * (Rewriting.REPORT + 6)), b"too long"),
        (returned(b"", more=b"X: " + b"y" * 70000), b"too long"),
        (b"SPAMD/1.0 76 Bad header line: FOO\r\n", b"76 Bad header line"),
        (b"", b"without an answer"),
    ],
)
def test_a_message_that_does_not_come_back_whole_is_never_used(answer: bytes, why: bytes, tmp_path: Path) -> None:
    stores: list[Store] = []

    def make() -> Rewriting:
        stores.append(Store(os.fsencode(tmp_path)))
        conversation = Rewriting(b"x", b"", stores[-1])
        assert b"".join(conversation.requests(5, [b"hello"])).endswith(b"\r\n\r\nhello")
        return conversation

    verdict = hear(make, answer)
    assert isinstance(verdict, Trouble) and why in verdict.why
    for store in stores:
        store.close()


def http(body: bytes, status: bytes = b"200 OK", length: int | None = None) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body) if length is None else length, body)


def rspamd() -> Rspamd:
    return Rspamd(b"x", b"a@b", [b"c@d", b"e f@g\r\nH: i"], b"1.2.3.4")


def test_rspamd_is_told_the_envelope_but_nothing_that_would_break_its_lines() -> None:
    assert b"".join(rspamd().requests(2, [b"hi"])) == (
        b"POST /checkv2 HTTP/1.0\r\nContent-Length: 2\r\nFrom: a@b\r\nIP: 1.2.3.4\r\nRcpt: c@d\r\n\r\nhi"
    )


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (
            http(b'{"is_skipped":false,"score":7.512,"required_score":15,"action":"add header","symbols":{}}'),
            Scored(b"x", True, b"7.5", b"15.0"),
        ),
        (http(b'{"score":-1,"required_score":15.0,"action":"no action"}'), Scored(b"x", False, b"-1.0", b"15.0")),
        (  # as a real rspamd 3.4 answered to GTUBE, and to a message without a Received field
            http(
                b'{"is_skipped":true,"score":15.0,"required_score":15.0,"action":"reject","symbols":{"GTUBE":{"name":'
                b'"GTUBE","score":0.0,"metric_score":0.0}},"messages":{"smtp_message":"Gtube pattern"},"message-id":'
                b'"clean@localhost","time_real":0.000078}'
            ),
            Scored(b"x", True, b"15.0", b"15.0"),
        ),
        (
            http(
                b'{"is_skipped":false,"score":11.299999,"required_score":15.0,"action":"add header","symbols":{"ARC_NA":'
                b'{"name":"ARC_NA","score":0.0,"metric_score":0.0,"description":"ARC signature absent"}}}'
            ),
            Scored(b"x", True, b"11.3", b"15.0"),
        ),
        (http(b'{"error":"x"}', b"500 oops"), Trouble(b"x", b"HTTP/1.1 500 oops")),
        (http(b"{}", length=5), Trouble(b"x", b"the answer has another length than it says")),
        (b"", NO_ANSWER),
    ],
)
def test_what_rspamd_answers(answer: bytes, verdict: Verdict) -> None:
    assert hear(rspamd, answer) == verdict


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"score":"x","required_score":1,"action":"reject"}',
        b'{"score":NaN,"required_score":1,"action":"reject"}',
        b'{"score":1,"required_score":1,"action":"dance"}',
        b'{"score":1,"required_score":1,"action":["reject"]}',
        b"[" * 100000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_answer_of_rspamd_is_trouble(body: bytes) -> None:
    assert isinstance(hear(rspamd, http(body)), Trouble)
    assert isinstance(hear(rspamd, body), Trouble)
