"""The SMTP server core: every row of spec qmail-smtp 12.1 that needs no process, each state and verb, bad input."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmail.protocol import smtp_server as smtp
from tests.support import mailworld

GREETING = b"mail.example.org"
START = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<x@mail.example.org>\r\nDATA\r\n"
OK, GO = b"250 ok\r\n", b"354 go ahead\r\n"
TAKEN = b"250 ok 1795420376 qp 4675\r\n"
MAIL_FIRST, RCPT_FIRST = b"503 MAIL first (#5.5.1)\r\n", b"503 RCPT first (#5.5.1)\r\n"
NO_GATEWAY = b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\r\n"
BMF = b"553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)\r\n"
UNIMPLEMENTED = b"502 unimplemented (#5.5.1)\r\n"
SYNTAX = b"555 syntax error (#5.5.4)\r\n"
STRAY = b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"


class World(mailworld.World):
    """A world with IP addresses of its own."""

    def __init__(self, *, own: frozenset[bytes] = frozenset((b"127.0.0.1", b"2001:db8::1")), **given: object) -> None:
        super().__init__(**{"accepted": b"1795420376 qp 4675", **given})  # type: ignore[arg-type]
        self.own = own

    def other(self, event: object) -> None:
        assert isinstance(event, smtp.Own)
        event.answer = event.ip in self.own


def say(session: smtp.Session, world: World, data: bytes) -> bytes:
    return world.say(session.receive, data)


def converse(data: bytes, world: World | None = None, **given: object) -> bytes:
    """The replies to `data`; the same whether it comes whole, byte by byte, or in pieces."""
    settings = smtp.Settings(GREETING, **given)  # type: ignore[arg-type]
    return mailworld.converse(lambda: smtp.Session(settings).receive, data, world or World())


def sender_of(line: bytes, **given: object) -> bytes:
    world = World()
    converse(line + b"\r\nRCPT <x>\r\nDATA\r\n.\r\n", world, **given)
    return world.mails[0][0]


def recipients_of(*lines: bytes, **given: object) -> list[bytes]:
    world = World()
    converse(b"MAIL FROM:<>\r\n" + b"".join(b"%b\r\n" % line for line in lines) + b"DATA\r\n.\r\n", world, **given)
    return world.mails[0][1]


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


TOO_BIG = b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"


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


# --- what is new: for clients that say EHLO

EHLO = b"EHLO x\r\n"


def extended(data: bytes, world: World | None = None, **given: object) -> list[bytes]:
    """The replies to what follows EHLO."""
    return converse(EHLO + data, world, **given).partition(b"250 ENHANCEDSTATUSCODES\r\n")[2].split(b"\r\n")[:-1]


@pytest.mark.parametrize(
    ("data", "replies"),
    [
        (b"NOOP\r\nRSET\r\nHELP\r\n", [b"250 2.0.0 ok", b"250 2.0.0 flushed", b"214 2.0.0 notqmail home page: https://notqmail.org"]),
        (b"VRFY x\r\nEXPN x\r\n", [b"252 2.5.0 send some mail, i'll try my best", b"502 5.5.1 unimplemented (#5.5.1)"]),
        (b"DATA\r\nMAIL <>\r\nDATA\r\n", [b"503 5.5.1 MAIL first (#5.5.1)", b"250 2.1.0 ok", b"503 5.5.1 RCPT first (#5.5.1)"]),
        (START + b".\r\nQUIT\r\n", [b"250 2.1.0 ok", b"250 2.1.5 ok", b"354 go ahead", b"250 2.0.0 ok 1795420376 qp 4675", b"221 2.0.0 mail.example.org"]),
        (b"MAIL <>\r\nRCPT <x@no.example>\r\n", [b"250 2.1.0 ok", NO_GATEWAY[:4] + b"5.7.1 " + NO_GATEWAY[4:-2]]),
        (b"MAIL <%b>\r\n" % (b"x" * 900), [b"555 5.5.4 syntax error (#5.5.4)"]),
        (START + b"\n", [b"250 2.1.0 ok", b"250 2.1.5 ok", b"354 go ahead", b"451 4.5.2 See https://cr.yp.to/docs/smtplf.html."]),
        (b"HELO x\r\nNOOP\r\n", [b"250 mail.example.org", b"250 ok"]),
        (b"EHLO y\r\nNOOP\r\n", [b"250-mail.example.org", b"250-PIPELINING", b"250-8BITMIME", b"250-SIZE 0", b"250 ENHANCEDSTATUSCODES", b"250 2.0.0 ok"]),
    ],
)  # fmt: skip
def test_who_says_ehlo_gets_a_status_code_in_front_of_the_text(data: bytes, replies: list[bytes]) -> None:
    assert extended(data) == replies


@pytest.mark.parametrize(
    ("result", "reply"),
    [
        (b"Zqq crashed (#4.3.0)", b"451 4.3.0 qq crashed (#4.3.0)"),
        (b"Dno (#5.7.1)", b"554 5.7.1 no (#5.7.1)"),
        (b"Dno (#4.7.1)", b"554 5.0.0 no (#4.7.1)"),
        (b"Dno (#5.7)", b"554 5.0.0 no (#5.7)"),
        (b"Dno", b"554 5.0.0 no"),
        (b"Zlater (#4.x.1) (#4.99999.1234)", b"451 4.0.0 later (#4.x.1) (#4.99999.1234)"),
    ],
)
def test_a_queue_programs_own_text_gets_a_code_of_the_right_class(result: bytes, reply: bytes) -> None:
    assert extended(START + b".\r\n", World(result=result))[-1] == reply


@pytest.mark.parametrize(
    ("parameters", "databytes", "fits"),
    [
        (b"SIZE=100", 100, True),
        (b"SIZE=101", 100, False),
        (b"BODY=8BITMIME size=101 X=Y", 100, False),
        (b"SIZE=5 SIZE=101", 100, False),
        (b"SIZE=101 SIZE=5", 100, True),
        (b"SIZE=99999999999999999999999", 100, False),
        (b"SIZE=101", 0, True),
        (b"SIZE= SIZE=x SIZE SIZE=-1 SIZE=1e9 XSIZE=500", 100, True),
        (b"SIZE=101", 100, False),
    ],
)
def test_a_mail_that_says_it_is_too_big_is_refused_before_it_comes(
    parameters: bytes, databytes: int, fits: bool
) -> None:
    world = World()
    line = b"MAIL FROM:<a@b> %b\r\n" % parameters
    refusal = b"552 5.3.4 " + TOO_BIG[4:-2]
    assert extended(line, world, databytes=databytes) == [b"250 2.1.0 ok" if fits else refusal]
    assert world.refusals == ([] if fits else [(b"a@b", None, TOO_BIG[:-2])])
    assert converse(b"HELO x\r\n" + line, databytes=databytes).endswith(b"\r\n" + OK)


def test_a_mail_that_is_too_big_leaves_the_transaction_alone() -> None:
    data = b"MAIL <a>\r\nRCPT <b>\r\nMAIL <c> SIZE=200\r\nDATA\r\n.\r\n"
    world = World()
    assert extended(data, world, databytes=100)[-1] == b"250 2.0.0 ok 1795420376 qp 4675"
    assert world.mails == [(b"a", [b"b"], b"")]


@pytest.mark.parametrize(
    ("host", "ours"),
    [(b"[IPv6:2001:db8::1]", True), (b"[ipv6:2001:DB8:0::0001]", True), (b"[IPv6:2001:db8::2]", False),
     (b"[2001:db8::1]", False), (b"[IPv6:127.0.0.1]", False), (b"[IPv6:]", False), (b"[IPv6:x:y]", False)],
)  # fmt: skip
def test_ipv6_literals_are_read(host: bytes, ours: bool) -> None:
    assert sender_of(b"MAIL <z@%b>" % host, localiphost=b"m.example") == (b"z@m.example" if ours else b"z@" + host)


# --- recipients that are looked for, and the log

NOBODY = b"550 sorry, no mailbox here by that name. (#5.1.1)"


def test_a_recipient_is_refused_as_the_answer_says_and_the_others_stay() -> None:
    world = World(verdicts={b"no@mail.example.org": NOBODY, b"later": b"451 who knows (#4.3.0)"})
    data = b"MAIL <s>\r\nRCPT <no@mail.example.org>\r\nRCPT <later>\r\nRCPT <x>\r\nDATA\r\n.\r\n"
    assert converse(data, world) == OK + NOBODY + b"\r\n451 who knows (#4.3.0)\r\n" + OK + GO + TAKEN
    assert world.mails == [(b"s", [b"x"], b"")]
    assert world.refusals == [(b"s", b"no@mail.example.org", NOBODY), (b"s", b"later", b"451 who knows (#4.3.0)")]


@pytest.mark.parametrize(
    ("data", "given", "refusal"),
    [
        (b"MAIL <a@b>\r\nRCPT <x>\r\n", {"badmailfrom": frozenset((b"@b",))}, (b"a@b", b"x", BMF[:-2])),
        (b"MAIL <a@b>\r\nRCPT <x@c>\r\n", {}, (b"a@b", b"x@c", NO_GATEWAY[:-2])),
        (START + b"long\r\n.\r\n", {"databytes": 3}, (b"a@b.example", None, b"552 sorry, that message size exceeds my databytes limit (#5.3.4)")),
        (START + b"x\n", {}, (b"a@b.example", None, STRAY[:-2])),
        (START + b"delivered\r\n" * 100 + b".\r\n", {}, (b"a@b.example", None, b"554 too many hops, this message is looping (#5.4.6)")),
    ],
)  # fmt: skip
def test_every_refusal_is_told_for_the_log(data: bytes, given: dict[str, object], refusal: tuple[object, ...]) -> None:
    world = World()
    converse(data, world, **given)
    assert world.refusals == [refusal]


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


# --- bad input


def test_a_line_without_end_is_cut_off_at_a_bound() -> None:
    world, session = World(), smtp.Session(smtp.Settings(GREETING))
    answer = b"".join([say(session, world, b"x" * 65536) for _ in range(40)])
    assert (answer, world.code) == (b"421 out of memory (#4.3.0)\r\n", 1)


@pytest.mark.parametrize(("size", "ends"), [(smtp.LONGEST_LINE, False), (smtp.LONGEST_LINE + 1, True)])
@pytest.mark.parametrize("piece", [1 << 22, 65536, 999])
def test_a_line_of_megabytes_is_read_and_one_more_byte_is_too_much(size: int, ends: bool, piece: int) -> None:
    world, session = World(), smtp.Session(smtp.Settings(GREETING))
    data = b"NOOP ".ljust(size, b"x") + b"\nNOOP\n"
    answer = b"".join([say(session, world, data[at : at + piece]) for at in range(0, len(data), piece)])
    assert answer == (b"421 out of memory (#4.3.0)\r\n" if ends else OK * 2)


def test_a_megabyte_that_comes_byte_by_byte_costs_no_more_than_its_size() -> None:
    session, began = smtp.Session(smtp.Settings(GREETING)), time.perf_counter()
    for _ in range(1 << 20):
        for _event in session.receive(b"x"):
            raise AssertionError
    assert time.perf_counter() - began < 20


def test_a_megabyte_of_quotes_is_too_long_an_address() -> None:
    assert say_once(b"MAIL <" + b'\\"' * 500_000 + b">\r\n") == SYNTAX


def say_once(data: bytes) -> bytes:
    return say(smtp.Session(smtp.Settings(GREETING)), World(), data)


def test_a_hundred_thousand_recipients_take_ten_times_as_long_as_ten_thousand() -> None:
    def cost(count: int) -> float:
        world, session = World(), smtp.Session(smtp.Settings(GREETING))
        data = b"MAIL <>\r\n" + b"RCPT TO:<somebody@mail.example.org>\r\n" * count + b"DATA\r\n.\r\n"
        began = time.process_time()
        for at in range(0, len(data), 65536):
            say(session, world, data[at : at + 65536])
        assert len(world.mails[0][1]) == count
        return time.process_time() - began

    small = min(cost(10_000) for _ in range(3))
    assert cost(100_000) < 40 * small


def test_many_small_mails_in_one_block_do_not_cost_their_square() -> None:
    data = (START + b"x\r\n.\r\n") * 2000
    began = time.process_time()
    assert say_once(data).count(TAKEN) == 2000
    assert time.process_time() - began < 5


LINES = st.sampled_from(
    [b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<x@mail.example.org>\r\n", b"RCPT TO:<x@no.example>\r\n", b"DATA\r\n", b".\r\n",
     b"RSET\r\n", b"HELO x\n", b"QUIT\r\n", b"\0\r\n", b"\r", b"\n", b'RCPT "<\\', b"MAIL <@[1.2.3.4]>\r\n", b"\xff "]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES | st.binary(max_size=12), max_size=20).map(b"".join))
def test_any_bytes_at_all_give_replies(data: bytes) -> None:
    world = World()
    answer = converse(data, world, localiphost=b"here", databytes=30)
    assert answer == b"" or answer.endswith(b"\r\n")
    assert all(line[:3].isdigit() for line in answer.split(b"\r\n")[:-1])
