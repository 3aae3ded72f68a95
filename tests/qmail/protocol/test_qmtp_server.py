"""The QMTP core: spec qmail-smtp 4.1 and its probes 53 to 56, whole and in pieces."""

from __future__ import annotations

import pytest

from qmail.protocol.netstring import Malformed, TooLarge, pack
from qmail.protocol.qmtp_server import QueueUnavailable, Session
from tests.support.mailworld import ACCEPTED, World, converse

OK = pack(b"Kok " + ACCEPTED)
NO_GATEWAY = b"66:Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1),"
CANNOT = b"46:Dsorry, I can't handle that recipient (#5.1.3),"
SENDER = b"29:Dunacceptable sender (#5.1.7),"
TOO_BIG = b"61:Dsorry, that message size exceeds my databytes limit (#5.3.4),"
ERRORS = (Malformed, TooLarge, QueueUnavailable)


def package(message: bytes, sender: bytes, *recipients: bytes) -> bytes:
    return pack(message) + pack(sender) + pack(b"".join(map(pack, recipients)))


def talk(data: bytes, world: World | None = None, *, databytes: int = 0, relayclient: bytes | None = None) -> bytes:
    return converse(lambda: Session(databytes=databytes, relayclient=relayclient).receive, data, world, ERRORS)


def test_each_recipient_gets_an_answer_in_turn() -> None:  # 53
    world = World(allowed=frozenset((b"m.example",)))
    data = b"16:\nSubject: x\n\nhi\n,11:s@e.example,45:11:x@m.example,15:y@other.example,8:nodomain,,"
    assert talk(data, world) == OK + NO_GATEWAY + OK
    assert world.mails == [(b"s@e.example", [b"x@m.example", b"nodomain"], b"Subject: x\n\nhi\n")]
    assert world.refusals == [(b"s@e.example", b"y@other.example", NO_GATEWAY[4:-1].replace(b"sorry", b"553 sorry"))]


@pytest.mark.parametrize(
    ("message", "stored"),
    [
        (b"\rSubject: x\r\n\r\nhi\r\n\rzz\r\r\ntail\r", b"Subject: x\n\nhi\n\rzz\r\ntail\r"),  # 54
        (b"\nSubject: x\r\n\r\nhi\r", b"Subject: x\r\n\r\nhi\r"),
        (b"\r", b""),
        (b"\n", b""),
        (b"\r\r\n\r", b"\n\r"),
        (b"\n.\n\0\xff", b".\n\0\xff"),
    ],
)
def test_the_first_byte_says_what_lines_end_in(message: bytes, stored: bytes) -> None:
    world = World()
    assert talk(package(message, b"", b"x"), world) == OK
    assert world.mails == [(b"", [b"x"], stored)]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"0:,", Malformed),
        (b"0:", Malformed),
        (b"x:", Malformed),  # 55
        (b"9999999999:", TooLarge),
        (b"3:\nhi;", Malformed),
        (b"2:xy,", Malformed),
        (b"2:\na,0:,3:1:a", Malformed),
        (b"2:\na,0:,4:1:a", None),
        (b"2:\na,0:,3:2:a,,", Malformed),
        (b"2:\na,0:,3:1:a;,", Malformed),
        (b"2:\na,0:,1:1,", Malformed),
        (b"2:\na,0:,2:x:,", Malformed),
        (b"2:\na,0:,9:8:12345678,,", Malformed),
        (b"2:\na,0;", Malformed),
    ],
)
def test_what_is_no_qmtp_is_never_answered(data: bytes, error: type[Exception] | None) -> None:
    world = World()
    assert talk(data, world) == (error.__name__.encode() if error else b"")
    assert world.mails == []


def test_answers_to_good_packages_come_before_the_error_of_a_bad_one() -> None:
    assert talk(package(b"\nx", b"", b"x") + b"!") == OK + b"Malformed"


def test_packages_follow_one_another_and_share_nothing() -> None:
    world = World()
    data = package(b"\r1\r\n", b"a", b"x", b"y") + package(b"\n2\r\n", b"", b"z")
    assert talk(data, world) == OK * 3
    assert world.mails == [(b"a", [b"x", b"y"], b"1\n"), (b"", [b"z"], b"2\r\n")]


@pytest.mark.parametrize(
    ("message", "fits"),
    [(b"\n123", True), (b"\n1234", False), (b"\r1\r\n2", True), (b"\r1\r\n23", False), (b"\nhi there\n", False)],  # 56
)
def test_databytes_counts_what_is_stored_without_the_first_byte(message: bytes, fits: bool) -> None:
    world = World()
    answer = talk(package(message, b"s", b"x", b"y@no.example"), world, databytes=3)
    assert answer == (OK if fits else TOO_BIG) + NO_GATEWAY
    assert world.refused == (not fits) and len(world.body) <= 4


@pytest.mark.parametrize("sender", [b"x" * 1000, b"a\0b", b"\0"])
def test_a_sender_that_cannot_be_is_told_to_every_good_recipient(sender: bytes) -> None:
    world = World()
    data = package(b"\nx", sender, b"x", b"y@no.example") + package(b"\nx", b"s", b"x")
    assert talk(data, world) == SENDER + NO_GATEWAY + OK
    assert (len(world.mails), world.refused) == (1, 1)
    assert talk(package(b"\nlong", sender, b"x"), databytes=3) == TOO_BIG


def test_a_recipient_that_cannot_be_is_refused_alone() -> None:
    world = World()
    data = package(b"\nx", b"s" * 999, b"x" * 1000, b"a\0b", b"x" * 999)
    assert talk(data, world) == CANNOT * 2 + OK
    assert world.mails == [(b"s" * 999, [b"x" * 999], b"x")]


def test_relayclient_is_put_behind_every_recipient_and_counts() -> None:
    world = World()
    data = package(b"\nx", b"s", b"y@any.example", b"", b"x" * 995)
    assert talk(data, world, relayclient=b"@r.example") == OK * 2 + CANNOT
    assert world.mails == [(b"s", [b"y@any.example@r.example", b"@r.example"], b"x")]


def test_without_a_good_recipient_nothing_is_queued() -> None:
    world = World()
    assert talk(package(b"\nx", b"s", b"y@no.example") + package(b"\nx", b"s"), world) == NO_GATEWAY
    assert (world.mails, world.refused) == ([], 2)


@pytest.mark.parametrize("result", [b"Dmail server permanently rejected message (#5.3.0)", b"Zqq crashed (#4.3.0)"])
def test_the_queues_result_is_the_answer(result: bytes) -> None:
    world = World(result=result)
    assert talk(package(b"\nx", b"s", b"x", b"y"), world) == pack(result) * 2
    assert world.refusals == [(b"s", None, result)]


def test_a_recipient_may_be_refused_for_now() -> None:
    world = World(verdicts={b"x": b"451 cannot say (#4.3.0)", b"y": b"550 no (#5.1.1)"})
    assert (
        talk(package(b"\nx", b"s", b"x", b"y", b"z"), world)
        == pack(b"Zcannot say (#4.3.0)") + pack(b"Dno (#5.1.1)") + OK
    )


def test_without_a_queue_there_is_no_answer() -> None:
    assert talk(package(b"\nx", b"s", b"x"), World(queue=False)) == b"QueueUnavailable"


def test_half_a_package_is_nothing() -> None:
    whole = package(b"\nhello\n", b"s@e.example", b"x")
    for end in range(len(whole)):
        world = World()
        session = Session()
        assert world.say(session.receive, whole[:end]) == b""
        assert world.mails == []
