"""The SMTP server core and lines without end, mails without number, bytes of any kind."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmail.protocol import smtp_server as smtp
from tests.support.smtpworld import GREETING, OK, START, SYNTAX, TAKEN, World, converse, say


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
