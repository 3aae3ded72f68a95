"""TAI64N labels: "@" and 24 hexadecimal digits, 16 for the second (from 2**62 on) and 8 for the nanosecond.

As in daemontools the second is Unix time plus ten: leap seconds are not counted."""

from __future__ import annotations

import time

EPOCH = (1 << 62) + 10
LENGTH = 25


def now() -> bytes:
    """The label of this moment, to the microsecond, and in the middle of it as the original has it."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return b"@%016x%08x" % (EPOCH + seconds, nanoseconds // 1000 * 1000 + 500)


def local(digits: bytes) -> bytes | None:
    """Digits of a label as `2026-11-24 04:05:06.000000500` in local time; None where that is no time at all."""
    if not digits:
        return None
    seconds = ((int(digits[-24:-8] or b"0", 16) - EPOCH + (1 << 63)) % (1 << 64)) - (1 << 63)
    try:
        t = time.localtime(seconds)
    except (OverflowError, OSError, ValueError):
        return None
    nanoseconds = int(digits[-8:], 16)
    return b"%d-%02d-%02d %02d:%02d:%02d.%09d" % (*t[:6], nanoseconds)
