"""Real engines, started once."""

from __future__ import annotations

from tests.support.scanners import clamd as clamd
from tests.support.scanners import spamd as spamd
