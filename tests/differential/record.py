"""`python -m tests.differential.record [WORD]...`: run the table with the originals and write recorded.json.

For machines that lack them.  Needs the originals and root; with WORDs, only cases whose names have one of them are run.
What is recorded is always the originals' doing: a case whose original is missing keeps what it had."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.differential import execution
from tests.differential.case import Case
from tests.differential.table import table

FILE = Path(__file__).with_name("recorded.json")


def recorded() -> dict[str, execution.Outcome]:
    """What the originals did when it was last recorded."""
    found: dict[str, execution.Outcome] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return found


def main(words: list[str]) -> int:
    """Record."""
    if os.geteuid() != 0:
        print("some cases need root", file=sys.stderr)
        return 100
    old, new = recorded(), {}
    cases = table()

    def one(named: tuple[str, Case]) -> execution.Outcome | None:
        name, case = named
        if case.expected is not None or execution.missing(case) or (words and not any(word in name for word in words)):
            return old.get(name)
        return execution.run(case, "original")

    # The slow ones first, all at once: they wait.  The others one by one, as ports and addresses are shared.
    order = sorted(cases.items(), key=lambda named: not named[1].slow)
    with ThreadPoolExecutor(16) as threads:
        slow = [(name, threads.submit(one, (name, case))) for name, case in order if case.slow]
        for name, case in order:
            if not case.slow and (outcome := one((name, case))) is not None:
                new[name] = outcome
        for name, future in slow:
            if (outcome := future.result()) is not None:
                new[name] = outcome
    FILE.write_text(json.dumps(dict(sorted(new.items())), indent=1, ensure_ascii=True) + "\n")
    print(f"{len(new)} cases recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
