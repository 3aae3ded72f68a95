"""What the exit code of a program in a .qmail, .forward or alias file means.  qmail-command(8)."""

from __future__ import annotations

from ucspi.core.failure import PermanentFailure, TemporaryFailure

# 100, and those of sysexits(3) and of a full disk quota's reporters: no retry can help.
HARD = frozenset((100, 64, 65, 70, 76, 77, 78, 112))


def judge(code: int) -> None:
    """Raises PermanentFailure or TemporaryFailure, without text, for any code but 0: the program has said why."""
    if code in HARD:
        raise PermanentFailure
    if code:
        raise TemporaryFailure
