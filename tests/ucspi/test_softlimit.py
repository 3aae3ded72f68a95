"""softlimit: exact for foreign programs, on top of the interpreter for ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.launchers import ROOT, original, ours, run
from tests.support.server import WAYS, Server

SHOW = ["sh", "-c", "ulimit -S -a; ulimit -H -a; env | grep UCSPI"]
COMMANDS = [
    [],
    ["-z"],
    ["-a"],
    ["-a", "1x", "true"],
    ["-a", "-1", "true"],
    ["-a", "unlimited", "true"],
    ["-o", "10"],
    ["-o", "10", "/nonexistent"],
    ["-o", "10", "nonexistent-program"],
    ["-m", "300000000", *SHOW],
    ["-a", "300000000", "-d5000000", "-s", "4000000", "-l", "100", *SHOW],
    ["-c0", "-f100", "-r100", "-t100", "-p", "=", "-o", "99", *SHOW],
    ["-o", "5000000", *SHOW],
    ["-o", "5", "-o", "50", "-o", "=", *SHOW],
    ["-s", "18446744073709551615", "-a", "18446744073709551616", "-a", "18446744073709551615", *SHOW],
    ["-c", "", "--", *SHOW],
    ["-s9223372036854775808", *SHOW],
    ["-f", "10", "sh", "-c", "echo 0123456789ABC > big"],
    ["-o", "3", "true"],
    ["-a", "1000", "true"],
    ["-p0", "echo", "ok"],
    ["softlimit", "true"],
]


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_a_foreign_program_sees_what_the_original_shows_it(args: list[str], tmp_path: Path) -> None:
    expected = run(original("softlimit"), *args, cwd=tmp_path)
    assert run(ours("softlimit"), *args, cwd=tmp_path) == expected


def test_an_outer_softlimit_of_ours_holds_on_behind_an_inner_one() -> None:
    args = ["-m", "300000000", "softlimit", "-a", "200000000", "-o", "50", *SHOW]
    nested = run(ours("softlimit"), *args)
    flat = run(ours("softlimit"), "-m", "300000000", "-a", "200000000", "-o", "50", *SHOW)
    assert nested == flat and b"UCSPI" not in nested.out


PROBE = """
import sys
sys.path[:0] = {paths!r}
import resource
from ucspi.core import limits
limits.set_on_top({{resource.RLIMIT_AS: 20000000, resource.RLIMIT_DATA: 20000000, resource.RLIMIT_STACK: 20000000}})
try:
    held = bytearray({size})
    kept = limits.pack(limits.unpack(b"as=20000000 data=7 x=1 stack=y"))
    print("fits", kept, resource.getrlimit(resource.RLIMIT_STACK)[0])
except MemoryError:
    print("too much")
"""


@pytest.mark.parametrize(
    ("size", "answer"), [(15_000_000, b"fits b'as=20000000 data=7' 20000000\n"), (21_000_000, b"too much\n")]
)
def test_a_program_of_ours_has_its_20_megabytes_and_no_more(size: int, answer: bytes) -> None:
    probe = PROBE.format(paths=[str(ROOT)], size=size)
    assert subprocess.run([sys.executable, "-IS", "-c", probe], capture_output=True).stdout == answer


@pytest.mark.parametrize("way", sorted(WAYS))
def test_the_articles_20_megabytes_serve_a_whole_chain(way: str, tmp_path: Path) -> None:
    script = tmp_path / "run"
    script.write_text('#!/bin/sh\nexec softlimit -m 20000000 tcpserver "$@"\n')
    script.chmod(0o755)
    # The list's name is none that DNS can carry: dnspython is loaded, and no network needed.
    program = ["rblsmtpd", "-r", "x" * 64, "sh", "-c", "ulimit -S -v; ulimit -S -d; env | grep UCSPI_L"]
    with Server(program, ("-HRl0",), WAYS[way], tcpserver=str(script)) as chain:
        assert chain.talk() == b"19531\n19531\n"  # the foreign end of the chain has the exact numbers


def test_the_whole_chain_answers_within_20_megabytes() -> None:
    done = run(
        ours("softlimit"), "-m", "20000000", "rblsmtpd", "-r", "x" * 64, "rblsmtpd", "true",
        env={"RBLSMTPD": "no", "TCPREMOTEIP": "1.2.3.4"}, stdin=b"NOOP\nQUIT\n",
    )  # fmt: skip
    assert re.fullmatch(rb"rblsmtpd: 1.2.3.4 pid \d+: 451 no\n", done.err)
    assert done.code == 0 and done.out.endswith(b"221 rblsmtpd.local\r\n")
