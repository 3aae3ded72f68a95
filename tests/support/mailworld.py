"""The world around a protocol core that takes mail: answers its questions, and remembers what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from qmail.protocol.incoming import NO_GATEWAY, Block, Close, End, Event, Open, Recipient, Refused

Receive = Callable[[bytes], Iterable[Event]]
ACCEPTED = b"1795420515 qp 19535"


class World:
    """`verdicts`: the answer for a recipient, where it is not that of rcpthosts with mail.example.org in it."""

    def __init__(
        self,
        *,
        allowed: frozenset[bytes] = frozenset((b"mail.example.org",)),
        queue: bool = True,
        result: bytes = b"",
        verdicts: dict[bytes, bytes] | None = None,
        accepted: bytes = ACCEPTED,
    ) -> None:
        self.allowed, self.queue, self.result, self.accepted = allowed, queue, result, accepted
        self.verdicts = verdicts or {}
        self.helo: list[bytes | None] = []
        self.mails: list[tuple[bytes, list[bytes], bytes]] = []
        self.refused = 0
        self.refusals: list[tuple[bytes | None, bytes | None, bytes]] = []
        self.body = b""
        self.code: int | None = None

    def twin(self) -> World:
        """A world that is as this was in the beginning."""
        return type(self)(
            allowed=self.allowed,
            queue=self.queue,
            result=self.result,
            verdicts=self.verdicts,
            accepted=self.accepted,
        )

    def answer(self, event: Event) -> bytes:
        """The bytes of an event that is bytes; any other is dealt with."""
        if isinstance(event, bytes):
            return event
        if isinstance(event, Recipient):
            _, at, domain = event.address.rpartition(b"@")
            allowed = event.relayed or not at or domain in self.allowed
            event.answer = self.verdicts.get(event.address, b"" if allowed else NO_GATEWAY)
        elif isinstance(event, Open):
            event.answer, self.body = self.queue, b""
            self.helo.append(event.helo)
        elif isinstance(event, Block):
            self.body += event.data
        elif isinstance(event, Close):
            event.answer, event.accepted = self.result, self.accepted
            if event.refused:
                event.answer = b"Zqq read error (#4.3.0)"
                self.refused += 1
            elif not self.result:
                self.mails.append((event.sender, event.recipients, self.body))
        elif isinstance(event, Refused):
            self.refusals.append((event.sender, event.recipient, event.reply))
        elif isinstance(event, End):
            assert self.code is None, "a session ends once"
            self.code = event.code
        else:
            self.other(event)
        return b""

    def other(self, event: object) -> None:
        """A question that one protocol alone has."""
        raise AssertionError(event)

    def say(self, receive: Receive, data: bytes) -> bytes:
        """What is answered to `data`."""
        return b"".join([self.answer(event) for event in receive(data)])


def pieces(data: bytes, size: int) -> list[bytes]:
    """`data` in pieces of `size` bytes, whole if that is 0."""
    return [data[at : at + size] for at in range(0, len(data), size)] if size else [data]


def converse(
    make: Callable[[], Receive], data: bytes, world: World | None = None, errors: tuple[type[Exception], ...] = ()
) -> bytes:
    """The answers to `data`; the same whether it comes whole, byte by byte, or in small pieces.

    One of `errors` ends a conversation, and its name is appended to the answers."""
    world = world or World()
    answers: list[bytes] = []
    for who, size in zip((world, world.twin(), world.twin()), (0, 1, 7), strict=True):
        receive, said, failed = make(), b"", False
        try:
            for piece in pieces(data, size):
                for event in receive(piece):
                    said += who.answer(event)
        except errors as error:
            said, failed = said + type(error).__name__.encode(), True
        answers.append(said)
        assert (said, who.mails, who.code) == (answers[0], world.mails, world.code)
        # How far a conversation gets before its error is known depends on the pieces.
        assert failed or (who.helo, who.refusals, who.refused) == (world.helo, world.refusals, world.refused)
    return answers[0]
