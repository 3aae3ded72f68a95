"""Signals while the programs run: each ends as the original ends, and says nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.support.launchers import directory, original, ours
from tests.support.server import WAYS

# Program: what it is given to read before it waits for more, and how what it then says begins.
WAITING: dict[str, tuple[list[str], bytes, bytes]] = {
    "rblsmtpd": (["true"], b"", b"220 "),
    "recordio": (["cat"], b"x\n", b"x\n"),
    "fixcrio": (["cat"], b"x\n", b"x\r\n"),
    "addcr": ([], b"x\n", b"x\r\n"),
    "delcr": ([], b"x\r\n", b"x\n"),
    "tai64n": ([], b"x\n", b"@4"),
    "tai64nlocal": ([], b"x\n", b"x\n"),
    "fghack": (["cat"], b"x\n", b"x\n"),
    "pgrphack": (["cat"], b"x\n", b"x\n"),
    "setlock": (["lk", "cat"], b"x\n", b"x\n"),
    "softlimit": (["-c0", "cat"], b"x\n", b"x\n"),
    "envdir": (["env", "cat"], b"x\n", b"x\n"),
}
NUMBERS = [signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGINT]


def end(file: str, program: str, number: int, here: Path, env: dict[str, str]) -> tuple[int, bytes]:
    """Exit code, and what stands on descriptor 2, without recordio's lines."""
    args, said, heard = WAITING[program]
    (here / "env").mkdir(exist_ok=True)
    process = subprocess.Popen(
        [file, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=here, bufsize=0,
        env={"PATH": f"{directory()}:/bin:/usr/bin", "RBLSMTPD": "no", **env}, start_new_session=True,
    )  # fmt: skip
    assert process.stdin and process.stdout
    try:
        process.stdin.write(said)
        assert process.stdout.read(len(heard)) == heard
        process.send_signal(number)
        code = process.wait(20)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    lines = process.communicate()[1].splitlines()
    return code, b"\n".join(
        line for line in lines if b" < " not in line and b" > " not in line and b" pid " not in line
    )


@pytest.mark.parametrize("program", sorted(WAITING))
@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_ends_it_as_it_ends_the_original(program: str, number: int, tmp_path: Path) -> None:
    expected = end(original(program), program, number, tmp_path, {})
    for way in WAYS.values():
        assert end(ours(program), program, number, tmp_path, way) == expected


@pytest.mark.parametrize("seed", range(3))
def test_multilog_loses_no_line_whatever_signals_come(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    lines = b"".join(b"%d %b\n" % (i, b"x" * (i * 7 % 90)) for i in range(40000))
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [ours("multilog"), "n1000", "s20000", "./L"], stdin=reading, stderr=subprocess.PIPE, cwd=tmp_path
    )

    def feed() -> None:
        at = 0
        while at < len(lines):
            size = chance.randrange(1, 20000)
            try:
                os.write(writing, lines[at : at + size])
            except OSError:
                break
            at += size
        os.close(writing)

    feeder = threading.Thread(target=feed)
    while not (tmp_path / "L" / "current").exists():
        time.sleep(0.005)
    feeder.start()
    for _ in range(10):
        time.sleep(chance.random() * 0.01)
        process.send_signal(signal.SIGALRM)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0 and process.stderr and process.stderr.read() == b""
    left = b""
    while data := os.read(reading, 65536):
        left += data
    os.close(reading)
    feeder.join()
    logged = b"".join(file.read_bytes() for file in [*sorted((tmp_path / "L").glob("@*")), tmp_path / "L" / "current"])
    assert logged + left == lines and logged[-1:] in (b"\n", b"")
    process.stderr.close()
