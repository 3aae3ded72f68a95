"""The SMTP server core: every row of spec qmail-smtp 12.1 that needs no process, each state and verb."""

from __future__ import annotations

import pytest

from qmail.protocol import smtp_server as smtp
from tests.support.smtpworld import (
    BMF,
    GO,
    MAIL_FIRST,
    NO_GATEWAY,
    OK,
    RCPT_FIRST,
    START,
    STRAY,
    SYNTAX,
    TAKEN,
    TOO_BIG,
    UNIMPLEMENTED,
    World,
    converse,
    recipients_of,
    sender_of,
)

# --- the probes of spec 12.1, by their numbers


def test_greeting_shows_the_whole_line() -> None:
    assert smtp.Session(smtp.Settings(b"mail.example.org hi")).greet() == b"220 mail.example.org hi ESMTP\r\n"
    assert smtp.Session(smtp.Settings(b"")).greet() == b"220  ESMTP\r\n"


@pytest.mark.parametrize(
    ("data", "replies"),
    [
        (
            b"EHLO foo\r\n",
            b"250-mail.example.org\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 0\r\n250 ENHANCEDSTATUSCODES\r\n",
        ),  # 2, and what is new
        (b"helo foo\nnoop\nQuIt\n", b"250 mail.example.org\r\n250 ok\r\n221 mail.example.org\r\n"),  # 3
        (b"EXPN x\r\nAUTH LOGIN\r\nSTARTTLS\r\n\r\n   NOOP\r\nMAILFROM:<>\r\n", UNIMPLEMENTED * 6),  # 4
        (
            b"DATA\r\nRCPT TO:<x@mail.example.org>\r\nMAIL FROM:<>\r\nDATA\r\nRCPT TO:<x@other.example>\r\n",
            MAIL_FIRST * 2 + OK + RCPT_FIRST + NO_GATEWAY,
        ),  # 5
        (b"MAIL <>\r\nRCPT TO:<postmaster>\r\nRCPT TO:<>\r\nRCPT\r\n", OK * 4),  # 18
        (b"MAIL FROM:<>\r\nRCPT <x>\r\nRSET\r\nNOOP\r\n", OK * 2 + b"250 flushed\r\n" + OK),  # 35
        (b"VRFY x\r\n", b"252 send some mail, i'll try my best\r\n"),
        (b"help me\r\n", b"214 notqmail home page: https://notqmail.org\r\n"),
        (b"MAIL\tFROM:<>\r\nETRN x\r\n", UNIMPLEMENTED * 2),
        (b"MAIL FROM:<a@b>\r\nHELO x\r\nRCPT <x>\r\n", OK + b"250 mail.example.org\r\n" + MAIL_FIRST),
        (b"MAIL FROM:<a@b>\r\nRCPT <x>\r\nMAIL FROM:<c@d>\r\nDATA\r\n", OK * 3 + RCPT_FIRST),
        (b"noop\r\r\nNOOP\0junk\r\nNO\0OP\r\n", UNIMPLEMENTED + OK + UNIMPLEMENTED),
    ],
)
def test_commands_get_the_replies_of_qmail_smtpd(data: bytes, replies: bytes) -> None:
    assert converse(data) == replies


def test_quit_ends_the_session_and_drops_what_follows() -> None:
    world = World()
    assert converse(b"QUIT\r\nNOOP\r\nQUIT\r\n", world) == b"221 mail.example.org\r\n"
    assert world.code == 0


def test_a_mail_is_stored_without_its_dots_and_the_session_goes_on() -> None:  # 6
    world = World()
    mail = b"Subject: t\r\n\r\nhello\r\n..dot\r\n.x\r\n.\r\n"
    answer = converse(b"HELO other.name\r\n" + START + mail + START + mail + b"QUIT\r\n", world)
    assert answer == b"250 mail.example.org\r\n" + (OK * 2 + GO + TAKEN) * 2 + b"221 mail.example.org\r\n"
    assert world.mails == [(b"a@b.example", [b"x@mail.example.org"], b"Subject: t\n\nhello\n.dot\nx\n")] * 2
    assert world.helo == [b"other.name"] * 2


@pytest.mark.parametrize(
    ("line", "helo"), [(b"", None), (b"HELO\r\n", b""), (b"EHLO  a b \r\n", b"a b "), (b"HELO x\r\nRSET\r\n", b"x")]
)
def test_helo_is_told_as_the_client_gave_it(line: bytes, helo: bytes | None) -> None:  # 8, 10
    world = World()
    converse(line + START + b".\r\n", world)
    assert world.helo == [helo]


@pytest.mark.parametrize("data", [b"hello\nworld\r\n.\r\n", b"hello\r\n.\n"])
def test_a_bare_newline_in_a_mail_ends_the_session(data: bytes) -> None:  # 11, 12
    world = World()
    assert converse(START + data + b"NOOP\r\n", world) == OK * 2 + GO + STRAY
    assert (world.code, world.mails) == (1, [])


def test_half_a_mail_is_nothing() -> None:  # 14
    world = World()
    assert converse(START + b"hello\r\n", world) == OK * 2 + GO
    assert (world.code, world.mails) == (None, [])


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (b"RCPT TO:x@mail.example.org", b"x@mail.example.org"),  # 15
        (b"RCPT <x@mail.example.org>", b"x@mail.example.org"),
        (b"RCPT x@mail.example.org", b""),
        (b"RCPT TO:<@a,@b:x@mail.example.org>", b"x@mail.example.org"),  # 16
        (b"RCPT TO:<@nocolon>", b""),
        (b'RCPT TO:<"a>b"@mail.example.org> FOO=bar', b"a>b@mail.example.org"),  # 17
        (rb"RCPT TO:<a\@b@mail.example.org>", b"a@b@mail.example.org"),
        (b"RCPT TO:<postmaster>", b"postmaster"),  # 18
        (b"RCPT", b""),
        (b"rcpt to:   x y", b"x"),
        (b"RCPT TO:<x", b"x"),
        (rb"RCPT TO:<x\>y\\\"> z", rb"x>y\""),
        (b'RCPT TO:<"x', b"x"),
        (b'RCPT TO:"a b" c', b"a b"),
        (rb"RCPT TO:<x\\", b"x\\"),
        (b"RCPT TO:x<y>z", b"y"),
        (b"RCPT TO:<x\0y>", b"x"),
        (b"RCPT TO:<\xffx\t>", b"\xffx\t"),
    ],
)
def test_addresses_are_read_as_qmail_smtpd_reads_them(line: bytes, address: bytes) -> None:
    assert recipients_of(line) == [address]


def test_our_own_ip_addresses_mean_localiphost() -> None:  # 20
    world = World(allowed=frozenset((b"m.example",)))
    lines = b"RCPT TO:<x@[127.0.0.1]>\r\nRCPT TO:<x@[383.0.0.1]>\r\nRCPT TO:<x@[127.0.0.01]>\r\n"
    data = b"MAIL FROM:<z@[127.0.0.1]>\r\n" + lines + b"RCPT <x@[127.0.0.2]>\r\nDATA\r\n.\r\n"
    assert converse(data, world, localiphost=b"m.example") == OK * 4 + NO_GATEWAY + GO + TAKEN
    assert world.mails == [(b"z@m.example", [b"x@m.example"] * 3, b"")]


@pytest.mark.parametrize(
    "address",
    [b"x@[127.0.0.2]", b"x@[127.0.0.1].", b"x@ [127.0.0.1]", b"[127.0.0.1]", b"x@[127.0.1]", b"x@[127.0..1]",
     b"x@[::1]", b"x@[127.0.0.1", b"x@127.0.0.1]", b"x@[+127.0.0.1]", b"x@[127.0.0.1.]", b"x@]", b"x@["],
)  # fmt: skip
def test_other_literals_stay_as_they_are(address: bytes) -> None:
    assert sender_of(b"MAIL <%b>" % address, localiphost=b"m.example") == address.partition(b">")[0]


def test_a_literal_of_many_digits_is_read_without_complaint() -> None:
    zeros = b"0" * 800
    assert sender_of(b"MAIL <x@[%b127.0.0.1]>" % zeros, localiphost=b"m.example") == b"x@m.example"


@pytest.mark.parametrize("verb", [b"MAIL", b"RCPT"])
def test_addresses_have_899_bytes_at_most(verb: bytes) -> None:  # 21
    before = b"MAIL <>\r\n"
    assert converse(before + verb + b" <%b>\r\n" % (b"x" * 899)) == OK * 2
    assert converse(before + verb + b" <%b>\r\n" % (b"x" * 900)) == OK + SYNTAX
    assert converse(before + verb + b' <"%b">\r\n' % (b"x" * 900)) == OK + SYNTAX
    assert converse(before + verb + b' <"%b">\r\n' % (b"x" * 9000)) == OK + SYNTAX


def test_mail_with_too_long_an_address_leaves_the_transaction_alone() -> None:
    assert (
        converse(b"MAIL <a>\r\nRCPT <b>\r\nMAIL <%b>\r\nDATA\r\n.\r\n" % (b"x" * 900)) == OK * 2 + SYNTAX + GO + TAKEN
    )


@pytest.mark.parametrize(
    ("sender", "reply"),
    [
        (b"SPAM@BAD.example", BMF),
        (b"x@evil.EXAMPLE", BMF),
        (b"x@sub.evil.example", OK),
        (b"", OK),
        (b"evil.example", OK),
    ],
)
def test_badmailfrom_is_told_to_each_recipient(sender: bytes, reply: bytes) -> None:  # 22
    bad = frozenset((b"spam@bad.example", b"@evil.example"))
    data = b"MAIL FROM:<%b>\r\nRCPT TO:<x@mail.example.org>\r\nRCPT TO:<postmaster>\r\n" % sender
    assert converse(data, badmailfrom=bad) == OK + reply * 2
    assert converse(data, badmailfrom=bad, relayclient=b"") == OK + reply * 2


def test_mail_without_colon_sets_the_null_sender() -> None:  # 23
    assert sender_of(b"MAIL foo@bar.example") == sender_of(b"MAIL") == b""


def test_relayclient_is_put_behind_every_recipient_and_opens_the_relay() -> None:  # 24
    lines = (b"RCPT TO:<x@any.example>", b"RCPT TO:<>")
    assert recipients_of(*lines, relayclient=b"@relay.example") == [b"x@any.example@relay.example", b"@relay.example"]
    assert recipients_of(*lines, relayclient=b"") == [b"x@any.example", b""]


def test_duplicate_recipients_are_kept() -> None:
    assert recipients_of(b"RCPT <x>", b"RCPT <x>") == [b"x", b"x"]


@pytest.mark.parametrize(("size", "reply"), [(20, TAKEN), (21, TOO_BIG)])
def test_databytes_counts_what_is_stored(size: int, reply: bytes) -> None:  # 25
    world = World()
    body = b"..\r\n" * 5 + b"x" * (size - 11) + b"\r\n.\r\n"
    assert converse(START + body + b"NOOP\r\n", world, databytes=20) == OK * 2 + GO + reply + OK
    assert world.refused == (size > 20)
    assert len(world.body) <= 20


def test_databytes_is_told_of_each_mail_anew() -> None:
    long, short = START + b"x" * 30 + b"\r\n.\r\n", START + b"x\r\n.\r\n"
    assert converse(long + short, databytes=20) == OK * 2 + GO + TOO_BIG + OK * 2 + GO + TAKEN


@pytest.mark.parametrize(
    ("header", "count", "loops"),
    [(b"Received: x", 99, False), (b"Received: x", 100, True), (b"delivered", 100, True), (b"rEcEiVeDzzz", 100, True),
     (b".Received: x", 100, False), (b"\r\nReceived: x", 100, False)],
)  # fmt: skip
def test_a_mail_that_came_through_a_hundred_servers_is_looping(header: bytes, count: int, loops: bool) -> None:  # 27
    world = World()
    reply = b"554 too many hops, this message is looping (#5.4.6)\r\n" if loops else TAKEN
    assert converse(START + (header + b"\r\n") * count + b".\r\n", world) == OK * 2 + GO + reply
    assert world.refused == loops


def test_looping_is_told_before_size() -> None:
    answer = converse(START + b"Received: x\r\n" * 100 + b".\r\n", databytes=5)
    assert answer.endswith(b"554 too many hops, this message is looping (#5.4.6)\r\n")


@pytest.mark.parametrize(
    ("result", "reply"),
    [
        (
            b"Dmail server permanently rejected message (#5.3.0)",
            b"554 mail server permanently rejected message (#5.3.0)",
        ),
        (b"Zqq write error or disk full (#4.3.0)", b"451 qq write error or disk full (#4.3.0)"),
        (b"Zyz", b"451 yz"),
        (b"Dcustom\nperm", b"554 custom\nperm"),
    ],
)
def test_the_queues_result_becomes_the_reply(result: bytes, reply: bytes) -> None:  # 28, 29
    assert converse(START + b".\r\nNOOP\r\n", World(result=result)) == OK * 2 + GO + reply + b"\r\n" + OK


def test_data_ends_the_transaction_whatever_comes_of_it() -> None:  # 30
    assert converse(START + b".\r\nDATA\r\n") == OK * 2 + GO + TAKEN + MAIL_FIRST
    failure = b"451 qqt failure (#4.3.0)\r\n"
    assert converse(START + b"DATA\r\n", World(queue=False)) == OK * 2 + failure + MAIL_FIRST


# --- every state and verb

STATES = {"start": b"", "mail": b"MAIL <>\r\n", "rcpt": b"MAIL <>\r\nRCPT <x>\r\n"}
EXPECTED = {
    b"MAIL <>": (OK, OK, OK),
    b"RCPT <x>": (MAIL_FIRST, OK, OK),
    b"DATA": (MAIL_FIRST, RCPT_FIRST, GO),
    b"RSET": (b"250 flushed\r\n",) * 3,
    b"NOOP": (OK,) * 3,
    b"HELO x": (b"250 mail.example.org\r\n",) * 3,
    b"QUIT": (b"221 mail.example.org\r\n",) * 3,
}


@pytest.mark.parametrize("verb", EXPECTED)
def test_each_verb_has_its_reply_in_each_state(verb: bytes) -> None:
    for state, reply in zip(STATES.values(), EXPECTED[verb], strict=True):
        assert converse(state + verb.lower() + b"\r\n")[len(OK) * state.count(b"\r\n") :] == reply
