"""A log that is matched up in parts gives what it gives as a whole."""

from __future__ import annotations

import marshal
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmail.analog.core import parallel
from qmail.analog.core.matching import Matcher
from tests.qmail.analog.test_matchup import NOW, PIECES
from tests.qmail.analog.test_reports import log
from tests.support import maillog
from ucspi.core.failure import TemporaryFailure

EVENTS = [
    b"new msg %d", b"info msg %d: bytes 5 from <A@b> qp 3 uid 0", b"starting delivery %d: msg 7 to local B@c",
    b"starting delivery %d: msg 8 to remote B@c", b"delivery %d: success: ok", b"delivery %d: deferral: x", b"end msg %d",
    b"extra %d 1 2 3", b"bounce msg %d qp 7", b"running %d", b"status: local %d/10", b"warning: %d",
]  # fmt: skip
LINES = st.tuples(st.sampled_from(EVENTS), st.sampled_from([7, 7, 8, 9]), st.integers(1, 3))


def whole(data: bytes) -> tuple[bytes, list[bytes], dict[str, int]]:
    matcher = Matcher(NOW)
    out = matcher.receive(data)
    return out, sorted(matcher.pending().split(b"\n")), matcher.warnings


def in_parts(lines: list[bytes], size: int) -> tuple[bytes, list[bytes], dict[str, int]]:
    sequel, out = parallel.Sequel(NOW), b""
    for i in range(0, len(lines), size):
        text = b"".join(lines[i : i + size])
        result = marshal.loads(marshal.dumps(parallel.Part(NOW).match(text)))
        out += b"".join(sequel.take(text, result))
    return out, sorted(sequel.pending().split(b"\n")), sequel.warnings


@settings(max_examples=600)
@given(st.lists(LINES, max_size=40), st.integers(1, 12))
def test_parts_of_any_order_of_events(events: list[tuple[bytes, int, int]], size: int) -> None:
    lines = [b"100000000%d.5 " % second + event % number + b"\n" for event, number, second in events]
    assert in_parts(lines, size) == whole(b"".join(lines))


@given(st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join), st.integers(1, 12))
def test_parts_of_damaged_lines(data: bytes, size: int) -> None:
    lines = [line + b"\n" for line in (data + b"\n").split(b"\n")[:-1]]
    assert in_parts(lines, size)[:2] == whole(data + b"\n")[:2]


@pytest.mark.parametrize("name", ["both", "damaged", "day", "listing5"])
@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_parts_of_logs(name: str, size: int) -> None:
    lines = [line + b"\n" for line in log(name).split(b"\n")[:-1]]
    assert in_parts(lines, size)[:2] == whole(b"".join(lines))[:2]


@pytest.mark.parametrize("end", [b"", b"1800000000.5 deliv"])
def test_processes_do_it_in_order(end: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    data = b"".join(maillog.blocks(5000)) + end
    blocks = [data[i : i + 10_000] for i in range(0, len(data), 10_000)]
    sequel = parallel.Sequel(NOW)
    out = b"".join(parallel.matched(blocks, sequel, NOW, first=50_000, part=70_000))
    assert (out, sorted(sequel.pending().split(b"\n")), sequel.warnings) == whole(data)
    assert end in sequel.pending()


def test_a_dead_process_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})

    def die(now: float, take: int, give: int) -> None:
        os._exit(1)

    monkeypatch.setattr(parallel, "_work", die)
    data = b"".join(maillog.blocks(5000))
    with pytest.raises((TemporaryFailure, BrokenPipeError)):
        b"".join(
            parallel.matched([data[:100_000], data[100_000:]], parallel.Sequel(NOW), NOW, first=50_000, part=70_000)
        )
