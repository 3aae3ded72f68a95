"""The QMQP core: spec qmail-smtp 4.2 and its probes 57 and 58, whole and in pieces."""

from __future__ import annotations

import pytest

from qmail.protocol.netstring import Malformed, TooLarge, pack
from qmail.protocol.qmqp_server import Session
from qmail.protocol.qmtp_server import QueueUnavailable
from tests.support.mailworld import ACCEPTED, World, converse

OK = pack(b"Kok " + ACCEPTED)
BAD = b"51:Dsorry, I can't accept addresses like that (#5.1.3),"


def mail(message: bytes, *addresses: bytes) -> bytes:
    return pack(pack(message) + b"".join(map(pack, addresses)))


def talk(data: bytes, world: World | None = None) -> bytes:
    return converse(lambda: Session().receive, data, world, (Malformed, TooLarge, QueueUnavailable))


def test_a_mail_without_recipients_is_taken() -> None:  # 57
    world = World()
    assert talk(b"21:3:hi\n,11:s@e.example,,", world) == OK
    assert (world.mails, world.code) == ([(b"s@e.example", [], b"hi\n")], 0)


def test_nobodys_right_to_send_is_asked_for() -> None:
    world = World()
    assert talk(mail(b"Subject: x\n\n\r\n\0\xff", b"", b"x@any.example", b"y") + b"rubbish", world) == OK
    assert world.mails == [(b"", [b"x@any.example", b"y"], b"Subject: x\n\n\r\n\0\xff")]


@pytest.mark.parametrize("addresses", [(b"s", b"x" * 1000), (b"s" * 1000, b"x"), (b"s\0", b"x"), (b"s", b"x", b"\0")])
def test_one_address_that_cannot_be_refuses_the_mail(addresses: tuple[bytes, ...]) -> None:  # 58
    world = World()
    assert talk(mail(b"hi\n", *addresses), world) == BAD
    assert (world.mails, world.refused, world.code) == ([], 1, 0)


def test_addresses_have_999_bytes_at_most() -> None:
    assert talk(mail(b"hi\n", b"s" * 999, b"x" * 999)) == OK


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"21:3:hi\n,11:s@e.example,;", Malformed),  # 58
        (b"0:,", Malformed),
        (b"6:3:hi\n,,", Malformed),  # no sender
        (b"9:3:hi\n,1:s,,", Malformed),  # more inside than fits
        (b"x", Malformed),
        (b"9999999999:", TooLarge),
        (b"30:9999999999:", TooLarge),
        (b"30:999999999:", Malformed),
        (b"300000000:", None),
        (b"11:3:hi\n;1:s,,", Malformed),
        (b"12:3:hi\n,1:s,1,", Malformed),  # half a recipient
        (b"11:3:hi\n,x:s,,", Malformed),
    ],
)
def test_what_is_no_qmqp_is_never_answered(data: bytes, error: type[Exception] | None) -> None:
    world = World()
    assert talk(data, world) == (error.__name__.encode() if error else b"")
    assert (world.mails, world.code) == ([], None)


@pytest.mark.parametrize("result", [b"Dmail server permanently rejected message (#5.3.0)", b"Zqq crashed (#4.3.0)"])
def test_the_queues_result_is_the_answer(result: bytes) -> None:
    world = World(result=result)
    assert talk(mail(b"x", b"s", b"x"), world) == pack(result)
    assert (world.refusals, world.code) == ([(b"s", None, result)], 0)


def test_without_a_queue_there_is_no_answer() -> None:
    assert talk(mail(b"x", b"s", b"x"), World(queue=False)) == b"QueueUnavailable"


def test_half_a_mail_is_nothing() -> None:
    whole = mail(b"hello\n", b"s@e.example", b"x")
    for end in range(len(whole)):
        world = World()
        assert world.say(Session().receive, whole[:end]) == b""
        assert (world.mails, world.code) == ([], None)
