"""Start-up of every program, against the interpreter doing nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import hosts
from bench.table import Table
from ucspi.core import launchers

RUNS = 15


def _milliseconds(argv: Sequence[str]) -> float:
    """The median of a few runs."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True)
        times.append(time.perf_counter() - start)
    return sorted(times)[RUNS // 2] * 1000


def startup(_directory: Path) -> Table:
    """`PROGRAM --version`, which imports everything the program imports at its start."""
    table = Table("Start-up, `PROGRAM --version`", "ms", smaller_is_better=True)
    table.add("python3 -I -S -c pass", _milliseconds([sys.executable, "-I", "-S", "-c", "pass"]))
    for name in sorted(program.name for program in launchers.programs()):
        table.add(name, _milliseconds([str(hosts.BIN / name), "--version"]))
    return table
