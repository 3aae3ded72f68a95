"""The QMTP and QMQP cores: any bytes, in any pieces, come to the same end, which is one of the documented ones."""

from __future__ import annotations

from collections.abc import Callable

from qmail.protocol import qmqp_server, qmtp_server
from qmail.protocol.netstring import Malformed, TooLarge, pack
from tests.fuzz.harness import assert_linear, fuzz, memory_of
from tests.support.mailworld import Receive, World, converse

ERRORS = (Malformed, TooLarge, qmtp_server.QueueUnavailable)
PACKAGE = b"16:\nSubject: x\n\nhi\n,11:s@e.example,45:11:x@m.example,15:y@other.example,8:nodomain,,"
MAIL = b"21:3:hi\n,11:s@e.example,,"
WORDS = (
    b"2:\nx,",
    b"3:\r\r\n,",
    b"0:,",
    b"1:s,",
    b"4:1:x,,",
    b"2:\0\0,",
    b"8:1:x,1:y,,",
    b":",
    b",",
    b"9",
    b"\r",
    b"\n",
)


@fuzz(words=WORDS, seeds=[PACKAGE, PACKAGE * 2, b"2:\nx,1:s,8:1:x,1:y,,0:,"])
def test_qmtp_ends_the_same_in_any_pieces(data: bytes) -> None:
    world = World(allowed=frozenset((b"m.example",)))
    answers = converse(lambda: qmtp_server.Session(databytes=9).receive, data, world, ERRORS)
    rest, count = answers, 0
    for name in (b"Malformed", b"TooLarge"):
        rest = rest.removesuffix(name)
    while rest:
        length, _, rest = rest.partition(b":")
        assert rest[:1] in b"KZD" and rest[int(length) : int(length) + 1] == b","
        rest = rest[int(length) + 1 :]
        count += 1
    assert count >= sum(len(recipients) for _, recipients, _ in world.mails)


@fuzz(
    words=(*WORDS, b"21:3:hi\n,11:s@e.example,,", b"12:3:hi\n,1:s,0:,,"),
    seeds=[MAIL, b"12:3:hi\n,1:s,0:,,rest", b"20:1111111111111101;1111"],
)
def test_qmqp_ends_the_same_in_any_pieces(data: bytes) -> None:
    world = World()
    answers = converse(lambda: qmqp_server.Session().receive, data, world, ERRORS)
    assert len(world.mails) == (b"Kok" in answers) and (world.code == 0) == (answers[-1:] == b",")


def test_cost_is_linear_in_what_the_client_sends() -> None:
    def run(make: Callable[[], Receive]) -> Callable[[bytes], None]:
        def talk(data: bytes) -> None:
            World().say(make(), data)

        return talk

    qmtp, qmqp = run(lambda: qmtp_server.Session().receive), run(lambda: qmqp_server.Session().receive)
    head = pack(b"\nx") + pack(b"s")
    assert_linear(lambda size: head + pack(pack(b"x@mail.example.org") * size), qmtp, 1000)
    assert_linear(lambda size: (head + pack(pack(b"x"))) * size, qmtp, 500)
    assert_linear(lambda size: pack(pack(b"x") + pack(b"s") * size), qmqp, 1000)
    assert_linear(lambda size: b"0" * size, qmtp, 20000)


def test_a_message_of_any_size_passes_through_in_the_memory_of_a_block() -> None:
    def talk() -> None:
        session = qmtp_server.Session()
        for block in (b"100000000:\r", *[b"x\r\n" * 10_000] * 100):
            for event in session.receive(block):
                if isinstance(event, qmtp_server.Open):
                    event.answer = True

    assert memory_of(talk) < 400_000
