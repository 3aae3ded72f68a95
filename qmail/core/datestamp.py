"""The two forms of date in mail, always UTC and never in the locale's language.

rfc822: `23 Nov 2026 07:55:00 -0000`, day unpadded; Received and Date lines.
mbox: `Fri Jan 02 03:04:05 2026`, day padded with zero; From_ lines of mbox files."""

from __future__ import annotations

import time

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")  # in the order of struct_time.tm_wday


def rfc822(now: int | float) -> bytes:
    """Return the date for a header line, without newline."""
    t = time.gmtime(now)
    return b"%d %b %d %b -0000" % (t.tm_mday, MONTHS[t.tm_mon - 1], t.tm_year, _clock(t))


def mbox(now: int | float) -> bytes:
    """Return the date for a From_ line, without newline."""
    t = time.gmtime(now)
    return b"%b %b %02d %b %d" % (DAYS[t.tm_wday], MONTHS[t.tm_mon - 1], t.tm_mday, _clock(t), t.tm_year)


def _clock(t: time.struct_time) -> bytes:
    return b"%02d:%02d:%02d" % (t.tm_hour, t.tm_min, t.tm_sec)
