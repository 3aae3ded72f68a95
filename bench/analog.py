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


def _seconds(cwd: Path, *commands: str) -> list[float]:
    """The best of a few runs of each, in wall time.  They take turns: who else uses the machine disturbs all alike."""
    best = [float("inf")] * len(commands)
    env = {"PATH": f"{hosts.BIN}:/bin:/usr/bin", "LC_ALL": "C"}
    for _ in range(RUNS):
        for i, command in enumerate(commands):
            start = time.perf_counter()
            subprocess.run(["/bin/sh", "-c", command], env=env, cwd=cwd, check=True, stdout=subprocess.DEVNULL)
            best[i] = min(best[i], time.perf_counter() - start)
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
            theirs, ours = _seconds(
                directory,
                f"mawk -f {AWK}/matchup.awk log | mawk -f {AWK}/{report}.awk",
                f"matchup <log | {report}",
            )
            table.add(f"matchup and {report}, mawk", theirs, base=True)
            table.add(f"matchup and {report}, ours", ours)
    counted, page = _seconds(directory, "wc -l <log; matchup <log", "qmail-report log")
    table.add("wc -l and matchup, ours", counted, base=True)
    table.add("qmail-report", page)
    return table
