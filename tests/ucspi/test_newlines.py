"""addcr, delcr and fixcrio's transformation: against the originals, whole and byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.launchers import original, ours, run
from ucspi.core import newlines

TEXT = st.lists(st.sampled_from([b"\r", b"\n", b"x", b"\0"])).map(b"".join)
CASES = [
    b"",
    b"a\r\r\nb\r",
    b"a\r\n",
    b"a\nb\r\nc",
    b"\n",
    b"\r",
    b"\n\n\r\n\r\r\n\r",
    b"\0\xff\n" * 9,
    b"x" * 200_000 + b"\r\n\n",
]


def removed(data: bytes, step: int) -> bytes:
    remover = newlines.Remover()
    return b"".join(remover(data[i : i + step]) for i in range(0, len(data), step)) + remover.close()


def fixed(data: bytes, step: int) -> bytes:
    fixer = newlines.Fixer()
    return b"".join(fixer(data[i : i + step]) for i in range(0, len(data), step))


@given(TEXT, st.integers(1, 9))
def test_where_a_block_ends_does_not_matter(data: bytes, step: int) -> None:
    whole = max(1, len(data))
    assert removed(data, step) == removed(data, whole) == data.replace(b"\r\n", b"\n")
    expected = b""
    for i, byte in enumerate(data):
        expected += b"\r\n" if byte == 10 and data[max(0, i - 1) : i] != b"\r" else bytes((byte,))
    assert fixed(data, step) == fixed(data, whole) == expected


@pytest.mark.parametrize("name", ["addcr", "delcr"])
@pytest.mark.parametrize("data", CASES)
def test_the_filters_do_what_the_originals_do(name: str, data: bytes) -> None:
    assert run(ours(name), "ignored", stdin=data) == run(original(name), "ignored", stdin=data)


@pytest.mark.parametrize("name", ["addcr", "delcr"])
def test_an_output_that_takes_nothing_is_111_without_a_word(name: str) -> None:
    for file in (original(name), ours(name)):
        done = run("/bin/sh", "-c", f"{file} >/dev/full", stdin=b"x\n" * 9)
        assert (done.code, done.err) == (111, b"")


@pytest.mark.parametrize("data", CASES)
@pytest.mark.parametrize("program", [["cat"], ["sh", "-c", "cat; exit 3"], ["/nonexistent"], []])
def test_fixcrio_does_what_the_original_does(data: bytes, program: list[str]) -> None:
    if program == ["/nonexistent"]:
        data = b""
    assert run(ours("fixcrio"), *program, stdin=data) == run(original("fixcrio"), *program, stdin=data)


def test_nothing_stalls_when_the_program_writes_more_than_it_reads() -> None:
    program = ["sh", "-c", "yes | head -c 3000000; cat"]
    done = run(ours("fixcrio"), *program, stdin=b"x\n" * 300_000)
    assert done.out == (b"y\r\n" * 1_500_000 + b"x\r\n" * 300_000) and done.code == 0
