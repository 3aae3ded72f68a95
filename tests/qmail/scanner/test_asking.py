"""Asking engines over real sockets: scripted ones that misbehave in every way."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from qmail.scanner.asking import Question, ask
from qmail.scanner.clamd import Clamd
from qmail.scanner.spamd import Spamd
from qmail.scanner.store import HELD, Store
from qmail.scanner.verdict import Infected, Scored, Trouble, Verdict
from tests.support.engines import ALL, STALL, ScriptedEngine

LONG = 20.0  # more than any test takes
SPAM = b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9.3 / 5.0\r\n\r\n"


@pytest.fixture
def message(tmp_path: Path) -> Iterator[Store]:
    """Larger than what is held in memory, and than any socket's buffer."""
    store = Store(os.fsencode(tmp_path))
    for _ in range(200):
        store.write(b"0123456789abcdef" * 4096)
    yield store
    store.close()


def small() -> Store:
    store = Store(b"/nonexistent")
    store.write(b"hello\n")
    return store


def clamd(address: bytes, seconds: float = LONG) -> Question:
    return Question(Clamd(b"clamdscan"), address, seconds)


def test_the_message_goes_out_whole_over_a_local_socket_and_over_tcp(message: Store) -> None:
    whole = b"".join(message.blocks())
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        wanted = b"".join(Clamd(b"x").requests(message.size, message.blocks()))
        local = stack.enter_context(ScriptedEngine([len(wanted), b"stream: OK\0"], directory + "/clamd"))
        spamd = stack.enter_context(ScriptedEngine([ALL, SPAM]))
        questions = [clamd(local.address), Question(Spamd(b"SA"), spamd.address, LONG)]
        assert ask(questions, message) == [Verdict(b"clamdscan"), Scored(b"SA", True, b"9.3", b"5.0")]
        assert local.told == [wanted]
        assert spamd.told[0].endswith(b"\r\n\r\n" + whole)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ([], b"closed the connection without an answer|broken pipe|connection reset"),
        ([10], b"closed the connection without an answer|broken pipe|connection reset"),
        ([ALL], b"gave no answer in time"),
        ([b"x" * 100000], b"the answer is too long"),
        ([STALL], b"gave no answer in time"),
        ([b"stream: OK\0", STALL], b"gave no answer in time"),
        ([b"INSTREAM size limit exceeded. ERROR\0"], b"INSTREAM size limit exceeded. ERROR|connection reset"),
    ],
)
def test_an_engine_that_fails_costs_no_more_than_its_time_and_is_trouble(
    script: list[bytes | int | None], why: bytes, message: Store
) -> None:
    with ScriptedEngine(script) as engine:
        (verdict,) = ask([clamd(engine.address, 1.0)], message)
        assert isinstance(verdict, Trouble)
        assert verdict.why in why.split(b"|")


@pytest.mark.parametrize("address", [b"/nonexistent/clamd", b"127.0.0.1:1", b"127.0.0.1:99999", b"nonsense"])
def test_an_engine_that_is_not_there_is_trouble(address: bytes) -> None:
    (verdict,) = ask([clamd(address)], small())
    assert isinstance(verdict, Trouble)


def test_engines_work_at_the_same_time_and_one_that_stalls_delays_no_verdict_but_its_own(message: Store) -> None:
    with ExitStack() as stack:
        engines = [stack.enter_context(ScriptedEngine([STALL])) for _ in range(20)]
        good = stack.enter_context(ScriptedEngine([300, b"stream: Eicar FOUND\0"]))
        start = time.monotonic()
        verdicts = ask([*[clamd(engine.address, 1.0) for engine in engines], clamd(good.address, 10.0)], message)
        assert [type(verdict) for verdict in verdicts] == [Trouble] * 20 + [Infected]
        assert time.monotonic() - start < 18  # one after the other they would take 20 seconds


def test_no_descriptor_is_left_open(message: Store) -> None:
    before = os.listdir("/proc/self/fd")
    with ScriptedEngine([STALL]) as engine:
        during = len(os.listdir("/proc/self/fd"))
        ask([clamd(engine.address, 0.05), clamd(b"/nonexistent/clamd")], small())
        assert len(os.listdir("/proc/self/fd")) <= during + 1  # the thread's own end may linger
    assert os.listdir("/proc/self/fd") == before


def test_a_large_message_is_in_a_file_that_has_no_name(tmp_path: Path) -> None:
    store = Store(os.fsencode(tmp_path))
    store.write(b"x" * HELD)
    assert b"".join(store.blocks()) == b"x" * HELD
    store.write(b"yz")
    assert os.listdir(tmp_path) == []
    readers = [store.blocks(), store.blocks()]  # at the same time, each from the start
    assert [b"".join(reader) for reader in readers] == [b"x" * HELD + b"yz"] * 2
    store.close()


def test_a_spool_that_is_full_or_missing_is_an_error_of_writing() -> None:
    store = Store(b"/nonexistent")
    store.write(b"x" * HELD)
    with pytest.raises(OSError):
        store.write(b"x")
