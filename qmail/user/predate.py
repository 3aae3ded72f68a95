"""Put a Date line before a message, for a program that sends it.  predate(1).

    predate child [arg ...]

Runs the child with `Date: 23 Nov 2026 03:22:24 -0500` (local time) and descriptor 0 as its input.  Exits as the child
does, 111 if it crashes or cannot be run."""

from __future__ import annotations

import os
import time

from qmail.core import child
from qmail.core.datestamp import MONTHS
from ucspi.core import errtext, streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure

PROGRAM = Program("predate", __doc__, usage="predate child", operands="CHILD [ARG]...")


def predate(call: Call) -> int:
    """The program."""
    if not call.operands:
        raise UsageFailure
    try:
        program = child.Fed(call, call.operands)
    except OSError as e:
        raise TemporaryFailure(f"unable to run {os.fsdecode(call.operands[0])}: {errtext.text(e)}") from e
    try:
        program.write([date_line(_local_time(call.env))])
        program.write(streams.blocks(0))
    except OSError:
        pass  # it need not read all; its exit code says what that means
    return program.finish()


def _local_time(env: dict[bytes, bytes]) -> time.struct_time:
    """Now, in the time zone of the caller's environment, which is not always that of this process."""
    _set_zone(env.get(b"TZ"))
    try:
        return time.localtime()
    finally:
        _set_zone(os.environb.get(b"TZ"))


def _set_zone(zone: bytes | None) -> None:
    if zone is None:
        os.unsetenv(b"TZ")
    else:
        os.putenv(b"TZ", zone)
    time.tzset()


def date_line(now: time.struct_time) -> bytes:
    """The header line for a local time."""
    minutes = (abs(now.tm_gmtoff) + 30) // 60
    sign = b"-" if now.tm_gmtoff < 0 else b"+"
    clock = b"%02d:%02d:%02d" % (now.tm_hour, now.tm_min, now.tm_sec)
    day = b"%d %b %d" % (now.tm_mday, MONTHS[now.tm_mon - 1], now.tm_year)
    return b"Date: %b %b %b%02d%02d\n" % (day, clock, sign, minutes // 60, minutes % 60)


main = PROGRAM.entry(predate)
