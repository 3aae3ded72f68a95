"""recordio: the log of what passes, cut as the original cuts it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.launchers import original, ours, run
from ucspi import recordio


def spelt_out(prefix: bytes, block: bytes) -> bytes:
    lines = b""
    for at in range(0, len(block), 256):
        for line in block[at : at + 256].splitlines(True) if b"\r" not in block else _lines(block[at : at + 256]):
            lines += prefix + line.removesuffix(b"\n") + (b" \n" if line.endswith(b"\n") else b"+\n")
    return lines or prefix + b"[EOF]\n"


def _lines(piece: bytes) -> list[bytes]:
    return [line for line in re.split(rb"(?<=\n)", piece) if line]


@given(st.lists(st.sampled_from([b"\n", b"x" * 100, b"\0", b"ab"]), max_size=60).map(b"".join))
def test_each_line_of_a_piece_has_its_own_line(block: bytes) -> None:
    parts = recordio.record(b"7 < ", block)
    assert b"".join(parts) == spelt_out(b"7 < ", block)
    writes = recordio.together(parts)
    assert b"".join(writes) == b"".join(parts)
    assert all(w.endswith(b"\n") and len(w) <= 4096 for w in writes)


def sorted_log(err: bytes) -> list[bytes]:
    lines = re.sub(rb"(?m)^\d+ ", b"PID ", err).split(b"\n")
    return [line for line in lines if b" < " in line] + [line for line in lines if b" < " not in line]


@pytest.mark.parametrize(
    ("program", "data"),
    [
        (["cat"], b"test\ntest2\npart"),
        (["cat"], b""),
        (["cat"], b"x" * 300 + b"\n\0\xff\r\n"),
        (["sh", "-c", "cat >/dev/null; echo done; exit 5"], b"a\nb\n"),
        ([], b""),
    ],
)
def test_it_records_what_the_original_records(program: list[str], data: bytes) -> None:
    mine, theirs = run(ours("recordio"), *program, stdin=data), run(original("recordio"), *program, stdin=data)
    assert (mine.code, mine.out, sorted_log(mine.err)) == (theirs.code, theirs.out, sorted_log(theirs.err))


@pytest.mark.parametrize("name", ["/nonexistent", "-x"])
def test_a_program_that_cannot_be_run_is_told(name: str) -> None:
    # Whether the recorder sees an end of input before it is gone is a race, here and in the original.
    for program in (ours("recordio"), original("recordio")):
        done = run(program, name)
        assert (done.code, done.out) == (111, b"")
        assert b"recordio: fatal: unable to run %b: file does not exist\n" % name.encode() in done.err


def test_the_pid_in_the_log_is_the_programs() -> None:
    done = run(ours("recordio"), "sh", "-c", "echo $$")
    assert b"%b > %b \n" % (done.out.strip(), done.out.strip()) in done.err
