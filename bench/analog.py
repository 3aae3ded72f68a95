"""Statistics of a long log, against the same pipelines in mawk."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from bench import hosts
from bench.table import Table
from tests.support import maillog

DELIVERIES = 1_000_000
RUNS = 3
AWK = Path(__file__).parent / "awk"


def _seconds(command: str, cwd: Path) -> float:
    """The best of a few runs, in wall time."""
    best = float("inf")
    env = {"PATH": f"{hosts.BIN}:/bin:/usr/bin", "LC_ALL": "C"}
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(["/bin/sh", "-c", command], env=env, cwd=cwd, check=True, stdout=subprocess.DEVNULL)
        best = min(best, time.perf_counter() - start)
    return best


def statistics(directory: Path) -> Table:
    """A log of DELIVERIES, in the page cache."""
    log = directory / "log"
    with open(log, "wb") as f:
        f.writelines(maillog.blocks(DELIVERIES))
    table = Table(
        f"Statistics of {DELIVERIES:,} deliveries ({log.stat().st_size >> 20} MiB)", "s", smaller_is_better=True
    )
    if shutil.which("mawk") is None:
        table.add("matchup and zoverall, mawk", None, "mawk is not installed")
    else:
        for report in ("zoverall", "zsenders"):
            table.add(
                f"matchup and {report}, mawk",
                _seconds(f"mawk -f {AWK}/matchup.awk log | mawk -f {AWK}/{report}.awk", directory),
            )
            table.add(f"matchup and {report}, ours", _seconds(f"matchup <log | {report}", directory))
    table.add("wc -l and matchup, ours", _seconds("wc -l <log; matchup <log", directory))
    table.add("qmail-report", _seconds("qmail-report log", directory))
    return table
