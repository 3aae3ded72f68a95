"""multilog: patterns, status files, rotation and crashes, next to the original."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.support.launchers import directory, original, ours, run
from ucspi.core import logscript

BOTH = ["original", "ours"]


def program(which: str) -> str:
    return original("multilog") if which == "original" else ours("multilog")


@pytest.mark.parametrize(
    ("pattern", "line", "matches"),
    [
        ("", "", True), ("", "x", False), ("a", "a", True), ("a", "ab", False),
        ("*", "anything", True), ("a*", "a", True),
        ("a*bc", "aXbc", True), ("a*bc", "abbc", False), ("a*b*c", "aXbYc", True), ("a*b", "aXb", True),
        ("a*b", "aXbb", False),
        ("**", "x*y", True), ("**", "xy", False), ("**b", "x*yb", True), ("a**", "a*", True), ("***", "*", True),
        ("***", "**", True), ("* fatal: *", "x: fatal: y", True), ("*b*", "ab", True),
        ("?", "x", False), ("a*", "A", False),
    ],
)  # fmt: skip
def test_a_pattern_matches_the_whole_line(pattern: str, line: str, matches: bool) -> None:
    assert logscript.compile_pattern(pattern.encode())(line.encode()) is matches
    out = run(original("multilog"), "-*", "+" + pattern, "e", stdin=line.encode() + b"\n").err
    assert out == (line.encode() + b"\n" if matches else b"")


def contents(path: Path) -> dict[str, tuple[str, bytes]]:
    """Everything under a directory; labels replaced by their order, as they are never the same."""
    found: dict[str, tuple[str, bytes]] = {}
    old = sorted(f.name for f in path.rglob("@*"))
    for file in sorted(path.rglob("*")):
        name = str(file.relative_to(path))
        if file.name.startswith("@"):
            name = name.replace(file.name[:25], f"old{old.index(file.name)}")
        text = b"" if file.is_dir() else re.sub(rb"(?m)^@[0-9a-f]{24} ", b"LABEL ", file.read_bytes())
        found[name] = (oct(file.stat().st_mode & 0o7777), text)
    return found


LINES = b"".join(b"%061d\n" % i for i in range(400))
MIXED = b"".join(b"%d %b\n" % (i, b"x" * (i * 7 % 300)) for i in range(700)) + b"no newline"
LONG = b"".join(b"%b\n" % (b"%d " % i * (i * 37 % 900)) for i in range(40))
COMMANDS: list[tuple[list[str], bytes]] = [
    ([], b"x\n"),
    (["./L"], b"one\ntwo"),
    (["t", "./L"], b"one\n\ntwo"),
    (["x", "L", "t", "./L"], b"one\n"),
    (["s4096", "n3", "./L"], LINES),
    (["s4096", "n1", "./L"], MIXED),
    (["t", "s5000", "n4", "./L"], MIXED),
    (["s1", "./L", "s8000", "./M", "n2", "./N"], MIXED),
    (["s4096", "n20", "./L"], LONG),
    (["-*1*", "s4096", "./L", "+*11*", "e", "./M"], MIXED),
    (["-*", "+ab*", "-abd", "e"], b"abc\nabd\nxyz\n"),
    (["e"], b"y" * 250 + b"\n" + b"z" * 200 + b"\n" + b"\n"),
    (["e", "=status"], b"y" * 1500 + b"\nshort"),
    (["=status"], b"y" * 999 + b"\n"),
    (["-*", "+*end", "./L"], b"y" * 997 + b"end\n" + b"y" * 998 + b"end\nend\n"),
    (["s4096", "n4", "!cat; echo done; cat <&4 >&5; echo . >&5", "./L"], LINES[:12000]),
    (["s4096", "!tr 0 z", "./L", "!", "./M"], LINES[:6000]),
    (["nodir", "./nodir/L"], b""),
    (["=nodir/status"], b""),
    (["./L", "./L"], b"x\n"),
    (["./L"], b""),
    (["./L"], b"\0a\0\n\xff"),
    (["./L"], LINES * 200),
    (["t", "s9000000", "./L"], LINES * 20),
    (["t", "-*0", "s100000", "./L"], LINES * 20),
]


@pytest.mark.parametrize(("args", "stdin"), COMMANDS, ids=[" ".join(args) or "nothing" for args, _ in COMMANDS])
def test_lines_end_up_where_the_original_puts_them(args: list[str], stdin: bytes, tmp_path: Path) -> None:
    results = {}
    for which in BOTH:
        here = tmp_path / which
        here.mkdir()
        (here / "in").write_bytes(stdin)
        with (here / "in").open("rb") as file:  # a file, not a pipe: reads are as long as they can be
            done = subprocess.run(
                [program(which), *args], stdin=file, capture_output=True, cwd=here, timeout=20,
                env={"PATH": f"{directory()}:/bin:/usr/bin"},
            )  # fmt: skip
        results[which] = (done.returncode, done.stdout, done.stderr, contents(here))
    assert results["ours"] == results["original"]


class Running:
    """multilog behind a pipe."""

    def __init__(self, which: str, here: Path, *args: str) -> None:
        self.process = subprocess.Popen([program(which), *args], stdin=subprocess.PIPE, cwd=here, bufsize=0)
        self.current = here / "L" / "current"
        self.wait_for(lambda: self.current.exists())

    def wait_for(self, condition: object) -> None:
        assert callable(condition)
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def write(self, text: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        whole = text[: text.rfind(b"\n") + 1]
        if whole:
            self.wait_for(lambda: self.current.read_bytes().endswith(whole))

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(10)


@pytest.mark.parametrize("which", BOTH)
def test_sigalrm_rotates_what_is_not_empty(which: str, tmp_path: Path) -> None:
    running = Running(which, tmp_path, "./L")
    running.write(b"one\n")
    running.signal(signal.SIGALRM)
    running.wait_for(lambda: list(tmp_path.glob("L/@*.s")))
    time.sleep(0.1)
    running.signal(signal.SIGALRM)
    time.sleep(0.1)
    assert running.end() == 0
    assert [f.read_bytes() for f in tmp_path.glob("L/@*")] == [b"one\n"] and running.current.read_bytes() == b""


def _wait_until_read(pipe: int) -> None:
    """Wait until nothing is in a pipe any more."""
    deadline = time.monotonic() + 20
    while int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder):
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("which", BOTH)
def test_sigterm_reads_on_to_the_end_of_the_line_and_no_further(which: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    process = subprocess.Popen([program(which), "./L"], stdin=reading, cwd=tmp_path)
    os.write(writing, b"par")
    _wait_until_read(reading)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    os.write(writing, b"tial\nnext\n")
    assert process.wait(10) == 0
    assert (tmp_path / "L" / "current").read_bytes() == b"partial\n"
    assert (tmp_path / "L" / "current").stat().st_mode & 0o777 == 0o744
    assert os.read(reading, 100) == b"next\n"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("which", BOTH)
def test_sigterm_between_lines_ends_at_once(which: str, tmp_path: Path) -> None:
    running = Running(which, tmp_path, "./L")
    running.write(b"one\n")
    running.signal(signal.SIGTERM)
    assert running.process.wait(10) == 0
    running.end()


@pytest.mark.parametrize("which", BOTH)
def test_a_log_that_a_crash_cut_short_is_kept_as_such(which: str, tmp_path: Path) -> None:
    running = Running(which, tmp_path, "./L")
    running.write(b"one\n")
    running.signal(signal.SIGHUP)
    assert running.end() == -signal.SIGHUP
    assert run(program(which), "./L", stdin=b"two\n", cwd=tmp_path).code == 0
    assert [f.read_bytes() for f in tmp_path.glob("L/@*.u")] == [b"one\n"] and running.current.read_bytes() == b"two\n"


STATES: list[dict[str, tuple[int, bytes]]] = [
    {"current": (0o744, b"c"), "state": (0o644, b"s")},
    {"current": (0o644, b"c"), "state": (0o644, b"s"), "newstate": (0o644, b"n")},
    {"current": (0o644, b"c"), "previous": (0o744, b"p")},
    {"current": (0o644, b"c"), "previous": (0o744, b"p"), "processed": (0o644, b"q")},
    {"current": (0o644, b"c"), "previous": (0o744, b"p"), "processed": (0o744, b"q")},
    {"previous": (0o744, b"p")},
    {"current": (0o644, b"")},
    {
        "@4000000000000000000000001.s": (0o744, b"1"),
        "@4000000000000000000000002.u": (0o744, b"2"),
        "@short": (0o644, b""),
    },
]


@pytest.mark.parametrize("state", STATES, ids=[",".join(s) for s in STATES])
def test_whatever_a_crash_left_is_put_in_order_as_by_the_original(
    state: dict[str, tuple[int, bytes]], tmp_path: Path
) -> None:
    results = []
    for which in BOTH:
        log = tmp_path / which / "L"
        log.mkdir(parents=True)
        for name, (mode, text) in state.items():
            (log / name).write_bytes(text)
            (log / name).chmod(mode)
        done = run(program(which), "n3", "./L", stdin=b"new\n", cwd=tmp_path / which)
        results.append((done.code, done.err, sorted(contents(log).values())))
    assert results[0] == results[1]


@pytest.mark.parametrize("which", BOTH)
def test_a_directory_has_one_writer(which: str, tmp_path: Path) -> None:
    running = Running(which, tmp_path, "./L")
    done = run(program(which), "./L", cwd=tmp_path)
    assert (done.code, done.err) == (111, b"multilog: fatal: unable to lock directory ./L: temporary failure\n")
    running.end()
