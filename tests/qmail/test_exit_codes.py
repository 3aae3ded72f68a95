"""Who judges a child's exit code, and all the codes there are: what the originals do not list never bounces mail.

The codes that do are those of notqmail 1.09's own tables (spec qmail-queue 3.4, 4, 6.2, 6.7, 8.5)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from qmail import lspawn
from qmail.core import childcodes, qqtable, remotereport
from ucspi.core.failure import PermanentFailure, TemporaryFailure


def local_program(status: int) -> bytes:
    """qmail-local's judgement of a program in a .qmail file; crashes are judged before."""
    if os.WIFSIGNALED(status):
        return b"Z"
    try:
        childcodes.judge(os.WEXITSTATUS(status))
    except PermanentFailure:
        return b"D"
    except TemporaryFailure:
        return b"Z"
    return b"K"


def queue_client(status: int) -> bytes:
    return qqtable.verdict(status, True)[:1] or b"K"


def of_local(status: int) -> bytes:
    return lspawn.report(status, b"text\n")[:1]


def of_remote(status: int) -> bytes:
    return remotereport.delivery(status, b"r\0Kok\n\0")[:1]


JUDGES: list[tuple[Callable[[int], bytes], set[int]]] = [
    (of_local, {100}),
    (of_remote, {100}),
    (local_program, {100, 64, 65, 70, 76, 77, 78, 112}),
    (queue_client, {*range(11, 41), 115}),
]
# qmail-local's "ignore what follows" (99) is seen before the judge.


@pytest.mark.parametrize(("judge", "permanent"), JUDGES)
def test_of_all_exit_codes_only_the_listed_ones_are_permanent(
    judge: Callable[[int], bytes], permanent: set[int]
) -> None:
    assert judge(0) == b"K"
    assert {code for code in range(1, 256) if judge(code << 8) == b"D"} == permanent
    assert {judge(code << 8) for code in range(1, 256) if code not in permanent} == {b"Z"}


@pytest.mark.parametrize(("judge", "permanent"), JUDGES)
def test_a_signal_is_always_temporary(judge: Callable[[int], bytes], permanent: set[int]) -> None:
    assert {judge(number | core) for number in signal.valid_signals() for core in (0, 0x80)} == {b"Z"}
