"""The SMTP and QMQP clients: whatever a host says, in any pieces, there is a report; whatever a message is, it ends once."""

from __future__ import annotations

import re

from qmail.core import remotereport
from qmail.protocol import qmqp_client
from qmail.protocol.smtp_body import BodyEncoder
from qmail.protocol.smtp_client import ENDLESS, Dialogue, Reply, extensions, mailbox
from tests.fuzz.harness import assert_linear, cuts, fuzz, memory_of, same

OFFER = b"220 hi\r\n250-mail\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
TALKS = [
    b"220 hi\r\n250 ok\r\n250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n250 done\r\n",
    OFFER + b"250 ok\r\n450 a\r\n550 b\r\n354 go\r\n250 no\r\n",
    b"220-hi\n220 hi\n502 what\r\n250 ok\n421-a\n421 b\n",
]
WORDS = (
    b"220 ",
    b"250 ",
    b"250-",
    b"354 ",
    b"421 ",
    b"550-",
    b"550 5.1.1 no\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"x",
    OFFER,
)


def talk(pieces: list[bytes]) -> tuple[bytes, bytes]:
    """(what was sent, the report)"""
    dialogue = Dialogue(b"192.0.2.1", b"me.example", b"s@e.example", [b"a@x.example", b"b@x.example"], eightbit=True)
    sent = b""
    for piece in (*pieces, b""):
        for output in dialogue.receive(piece):
            if isinstance(output, bytes):
                sent += output
            else:
                dialogue.dot_sent()
                sent += b"<body>"
        if dialogue.finished:
            break
    return sent, dialogue.report


@fuzz(words=WORDS, seeds=TALKS)
def test_any_replies_give_one_report(data: bytes) -> None:
    same(outcomes := [talk([piece for piece in pieces if piece]) for pieces in cuts(data)])
    sent, report = outcomes[0]
    *recipients, message, end = report.split(b"\0")
    assert end == b"" and message[:1] in (b"K", b"Z", b"D") and len(recipients) <= 2
    assert all(item[:1] in (b"r", b"s", b"h") for item in recipients)
    assert (b"<body>" in sent) or message[:1] != b"K"
    assert sent.count(b"<body>") <= 1 and sent.count(b"DATA") <= 1
    assert re.fullmatch(rb"(?:(?:EHLO|HELO|MAIL|RCPT|DATA|QUIT|<body>|\.)[^\r\n]*(?:\r\n|(?=QUIT)|$))*", sent)
    assert remotereport.merge(report)[:1] in (b"K", b"Z", b"D")
    assert len(report) < 4 * 5100


@fuzz(
    words=[b"\r", b"\n", b".", b"\0", b"x", b"\r\n.\r\n", b"MAIL FROM:<x>"], seeds=[b"a\r.\r\nQUIT\r\n", b"\0.\n.\0\n"]
)
def test_any_message_ends_where_it_ends(data: bytes) -> None:
    def encode(pieces: list[bytes]) -> bytes | None:
        encoder = BodyEncoder()
        wire = b"".join(map(encoder.encode, pieces))
        return None if encoder.partial else wire + encoder.finish()

    same(outcomes := [encode(pieces) for pieces in cuts(data)])
    wire = outcomes[0]
    assert (wire is None) == (bool(data) and data[-1:] not in (b"\r", b"\n"))
    if wire is not None:
        for receiver in (wire, wire.replace(b"\0", b"")):
            assert wire.endswith(b".\r\n")
            assert not re.search(rb"(?:\A|[\r\n])\.[\r\n]", receiver[: -len(b".\r\n")])


@fuzz(words=[b"@", b'"', b"\\", b".", b" ", b">"], seeds=[b"a b@c", b'"@d', b"..@d"])
def test_any_address_stays_in_its_line(data: bytes) -> None:
    path = data.replace(b"\r", b"").replace(b"\n", b"")
    assert b"\n" not in mailbox(path) and b"\r" not in mailbox(path)
    local, at, host = path.rpartition(b"@")
    if at:
        assert mailbox(path).endswith(b"@" + host)
        quoted = mailbox(path)[: -len(host) - 1]
        assert quoted == local or re.sub(rb"\\(.)", rb"\1", quoted[1:-1], flags=re.S) == local


@fuzz(words=[b"250-", b"\n", b" ", b"PIPELINING"], seeds=[b"250-a\n250-PIPELINING x\n250 8BITMIME\n"])
def test_any_text_has_keywords(data: bytes) -> None:
    assert all(word and word == word.upper() for word in extensions(Reply(250, data)))


@fuzz(words=[b"K", b"Z", b"D", b"5:", b","], seeds=[b"10:Zok foo ba,"], raises=(qmqp_client.NoVerdict,))
def test_any_qmqp_reply_has_at_most_one_verdict(data: bytes) -> None:
    found = []
    for pieces in cuts(data):
        reply = qmqp_client.Reply()
        found.append(next((verdict for piece in pieces if (verdict := reply.feed(piece))), b""))
    same(found)
    assert found[0] in (b"", b"K", b"Z", b"D")


def test_cost_is_linear_in_what_the_host_says_and_the_message_holds() -> None:
    assert_linear(lambda size: b"220-" + b"x\r\n220-" * size, lambda data: talk([data]), 2000)
    assert_linear(lambda size: b"x" * size, lambda data: talk([data]), 20000)
    assert_linear(lambda size: b"220 hi\r\n" + b"250-KEY word\r\n" * size, lambda data: talk([data]), 2000)
    for word in (b"\r", b"\0.\n", b"\n.", b"\r\r\n", b"\0"):
        assert_linear(lambda size, word=word: word * size, lambda data: BodyEncoder().encode(data), 5000)  # type: ignore[misc]


def test_a_reply_without_end_is_held_by_none() -> None:
    block = b"220-" + b"x" * 60_000 + b"\r\n"

    def listen() -> None:
        dialogue = Dialogue(b"192.0.2.1", b"me", b"", [b"r@d"])
        for _ in range(ENDLESS // len(block) + 2):
            assert not list(dialogue.receive(block))
        assert dialogue.finished

    assert memory_of(listen) < 400_000
