"""A million deliveries, against awk programs that know nothing of ours and against what the generator says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.qmail.analog.test_reports import without_explanations
from tests.support import maillog
from tests.support.launchers import directory

AWK = Path(__file__).resolve().parents[3] / "bench/awk"
DELIVERIES = 1_000_000


def pipeline(command: str, cwd: Path) -> bytes:
    env = {"PATH": f"{directory()}:/bin:/usr/bin", "LC_ALL": "C"}
    done = subprocess.run(["/bin/sh", "-ec", command], capture_output=True, env=env, cwd=cwd, timeout=280)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("mawk") is None, reason="mawk is not installed")
def test_a_million_deliveries_come_out_as_awk_has_them(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as log:
        log.writelines(maillog.blocks(DELIVERIES))
    pipeline("matchup <log >matched 5>pending", tmp_path)
    pipeline(f"mawk -f {AWK}/matchup.awk log >theirs; cmp matched theirs; test ! -s pending", tmp_path)

    shown = without_explanations("zoverall", pipeline("zoverall <matched", tmp_path)).partition(b"\n\n")[2]
    assert shown == pipeline(f"mawk -f {AWK}/zoverall.awk matched", tmp_path)
    figures = dict(line.strip().split(": ") for line in shown.decode().splitlines() if line)
    for label, value in maillog.expected(DELIVERIES).items():
        assert figures[label] == str(value), label

    ours = pipeline("senders <matched | sort", tmp_path)
    assert ours == pipeline(f"mawk -f {AWK}/zsenders.awk matched | sort", tmp_path)
