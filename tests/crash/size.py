"""How much the crash tests do: CRASH=full is `make crash`, anything else the part of it that `make test` has time for.

CRASH_SEED repeats a run; CRASH_KILLS and CRASH_STATES set the numbers by hand."""

from __future__ import annotations

import os

FULL = os.environ.get("CRASH") == "full"
SEED = int(os.environ.get("CRASH_SEED", "20261"))
KILLS = int(os.environ.get("CRASH_KILLS", "1000" if FULL else "50"))
STATES = int(os.environ.get("CRASH_STATES", "20000" if FULL else "500"))
