"""tai64n and tai64nlocal."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.launchers import original, ours, run
from ucspi.core import tai64
from ucspi.tai64nlocal import Localizer


@pytest.mark.parametrize("data", [b"", b"\n", b"a\nb\n", b"a\n\nb", b"\0\r\n@x\n", b"x" * 200_000 + b"\ny"])
def test_each_line_gets_a_label_of_now(data: bytes) -> None:
    mine, theirs = run(ours("tai64n"), "x", stdin=data), run(original("tai64n"), "x", stdin=data)
    label = re.compile(rb"(?m)^@[0-9a-f]{24} ")
    assert label.sub(b"LABEL ", mine.out) == label.sub(b"LABEL ", theirs.out)
    assert (mine.code, mine.err) == (theirs.code, theirs.err) == (0, b"")
    for found in label.findall(mine.out):
        assert abs(int(found[1:17], 16) - tai64.EPOCH - time.time()) < 60


LINES = [
    b"@4000000037c219bf2ef02e94 mark\n", b"@4000000037c219bf2ef02e94zzz\n", b"@4000000037c219bf2ef02e94",
    b"x @40000000\n",
    b"@4000000037c219bf2ef02e94", b"plain\n", b"\n", b" @4000000037c219bf2ef02e94\n", b"@4000000037c219bfffffffff \n",
    b"@3fffffffffffffff00000000\n", b"@004000000037c219bf2ef02e94 long\n",
]  # fmt: skip


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Budapest"])
@pytest.mark.parametrize("line", LINES)
def test_labels_are_shown_in_local_time_as_by_the_original(line: bytes, zone: str) -> None:
    env = {"TZ": zone}
    assert run(ours("tai64nlocal"), stdin=line, env=env) == run(original("tai64nlocal"), stdin=line, env=env)


@pytest.mark.parametrize(
    "line", [b"@zz x\n", b"@\n", b"@ABC\n", b"@123 x\n", b"@" + b"f" * 24 + b"\n", b"@" + b"a" * 99999 + b"\n"]
)
def test_what_crashes_the_original_passes_unchanged(line: bytes) -> None:
    done = run(ours("tai64nlocal"), stdin=line)
    assert done.code == 0 and done.out.endswith(line[-5:]) and (len(line) > 9 or done.out == line)


@given(
    st.lists(st.sampled_from([b"@", b"4000000037c219bf2ef02e94", b"\n", b"x", b"4", b" "])).map(b"".join),
    st.integers(1, 30),
)
def test_cuts_do_not_matter(data: bytes, step: int) -> None:
    slow, whole = Localizer(), Localizer()
    assert b"".join(slow(data[i : i + step]) for i in range(0, len(data), step)) == whole(data)
