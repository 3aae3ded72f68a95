"""The SMTP server's core: any bytes, in any pieces and any mode, come to the same end, and no mail ends where it must
not."""

from __future__ import annotations

import itertools

import pytest

from qmail.protocol import smtp_server as smtp
from qmail.protocol.smtp_address import literal, parse
from qmail.protocol.smtp_lines import MODES, NORMALIZE, REJECT
from tests.fuzz.harness import assert_linear, fuzz, memory_of
from tests.support import mailworld

START = b"MAIL FROM:<a@b>\r\nRCPT TO:<x@mail.example.org>\r\nDATA\r\n"
WORDS = (START, b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<x@mail.example.org>\r\n", b"RCPT TO:<x@no.example>\r\n", b"DATA\r\n",
         b"RSET\r\n", b"HELO x\n", b"EHLO x\r\n", b"QUIT\r\n", b".\r\n", b"\r\n.\r\n", b"\r", b"\n", b".", b"\0", b"\xff",
         b" SIZE=31", b'RCPT "<\\', b"MAIL <@[1.2.3.4]>\r\n", b"MAIL <@[IPv6:::1]>\r\n", b"Received: ", b"VRFY x\r\n")  # fmt: skip
SEEDS = [
    b"\x00EHLO x\r\n" + START + b"Subject: t\r\n\r\n..dot\r\n.\r\nQUIT\r\n",
    b"\x01" + START + b"a\n.\n" + START + b"b\r\n.\r\n",
    b"\x02" + START + b"a\n.\n" + START + b"b\r\n.\r\n",
]
QUEUES = (b"", b"Zqq crashed (#4.3.0)", b"Dno")


class World(mailworld.World):
    def other(self, event: object) -> None:
        assert isinstance(event, smtp.Own)
        event.answer = event.ip in (b"1.2.3.4", b"::1")


@fuzz(words=WORDS, seeds=SEEDS, examples=250)
def test_any_bytes_give_the_same_replies_in_any_pieces(data: bytes) -> None:
    first, data = (data[0], data[1:]) if data else (0, b"")
    mode, result = MODES[first % 3], QUEUES[first // 3 % 3]
    world = World(result=result)
    settings = smtp.Settings(b"g", localiphost=b"here", databytes=30, barelf=mode, badmailfrom=frozenset((b"bad@x",)))
    answer = mailworld.converse(lambda: smtp.Session(settings).receive, data, world)
    assert answer == b"" or answer.endswith(b"\r\n")
    assert all(line[:3].isdigit() for line in answer.split(b"\r\n")[:-1])
    assert answer.count(b"354 ") >= len(world.mails)
    for _, recipients, body in world.mails:
        assert recipients and len(body) <= 30 and (not body or body.endswith(b"\n"))
    if mode == NORMALIZE:
        assert len(world.mails) <= (b"\r\n" + data).count(b"\r\n.\r\n") + data.count(b"\n.\r\n")


@fuzz(
    words=(b"<", b">", b'"', b"\\", b"@", b":", b" ", b"[", b"]", b"1.2.3.4", b"IPv6:"),
    seeds=[b'FROM:<@a:"x y"@[1.2.3.4]> SIZE=5'],
)
def test_any_argument_is_an_address(data: bytes) -> None:
    address, rest = parse(data)
    assert len(address) + len(rest) <= len(data)
    ip = literal(address)
    assert ip is None or set(ip) <= set(b"0123456789abcdef.:")


@pytest.mark.parametrize("mode", MODES)
def test_cost_is_linear_in_what_the_client_sends(mode: bytes) -> None:
    def talk(data: bytes) -> None:
        session, world = smtp.Session(smtp.Settings(b"g", barelf=mode)), World()
        world.body = b""
        for event in session.receive(data):
            if not isinstance(event, smtp.Block):
                world.answer(event)

    for piece in (b"NOOP\r\n", b"RCPT <x>\r\n", START + b"x\r\n.\r\n", b"MAIL <" + b'\\"' * 50 + b">\r\n"):
        assert_linear(lambda size, piece=piece: b"MAIL <>\r\n" + piece * size, talk, 80)  # type: ignore[misc]
    for piece in (b"x\r\n", b"..\r\n", b".\r", b"\r", b".\r\r\n", b"Received: x\r\n", b"x", b"\r\n.\r"):
        assert_linear(lambda size, piece=piece: START + piece * size, talk, 3000)  # type: ignore[misc]


@pytest.mark.parametrize("mode", MODES)
def test_a_mail_of_any_size_and_a_line_of_any_length_pass_through_in_the_memory_of_a_block(mode: bytes) -> None:
    """A header of a gigabyte and a line of ten megabytes in the mail are no more than that many blocks."""

    def talk() -> None:
        session = smtp.Session(smtp.Settings(b"g", barelf=mode))
        for block in (START, *[b"X: y\r\n" * 5000] * 40, *[b"x" * 30_000] * 340):
            for event in session.receive(block):
                if isinstance(event, smtp.Open):
                    event.answer = True

    assert memory_of(talk) < (700_000 if mode == REJECT else 3_000_000)  # of which most is one block's lines


@pytest.mark.slow
def test_a_header_of_a_gigabyte_passes_through_in_the_memory_of_a_block() -> None:
    line, size = b"X-Header-Field: some value of a usual length, again and again\r\n", 0
    block = line * (2**16 // len(line))
    blocks = 2**30 // len(block) + 1

    def talk() -> None:
        nonlocal size
        session = smtp.Session(smtp.Settings(b"g"))
        for data in itertools.chain((START,), itertools.repeat(block, blocks)):
            for event in session.receive(data):
                if isinstance(event, smtp.Open):
                    event.answer = True
                elif isinstance(event, smtp.Block):
                    size += len(event.data)

    assert memory_of(talk) < 8 * len(block)
    # What the last newline is, only the byte behind it tells.
    assert size == blocks * (len(block) - block.count(b"\r")) - 1
