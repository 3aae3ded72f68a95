"""The SMTP server core, what no original has: for clients that say EHLO, recipients that are looked for, the log."""

from __future__ import annotations

import pytest

from tests.support.smtpworld import BMF, GO, NO_GATEWAY, OK, START, STRAY, TAKEN, TOO_BIG, World, converse, sender_of

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
