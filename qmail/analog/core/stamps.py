"""Where a line of a log comes from: time stamps and prefixes of the usual loggers, made into splogger's own.

    1174519530.809151 new msg 5                                            splogger, stripped: passes as it is
    @400000004601be34303a8f98 new msg 5                                    multilog, tai64n
    2007-03-22 00:25:30.809151500 new msg 5                                tai64nlocal
    Mar 22 00:25:30 host qmail: 1174519530.809151 new msg 5                splogger and syslogd, journalctl
    2007-03-22T00:25:30.809151+01:00 host qmail[7]: 1174519530.809151 new msg 5
    1174519530.809151 host qmail[7]: new msg 5                             journalctl -o short-unix
    Thu 2007-03-22 00:25:30 CET host qmail[7]: new msg 5                   journalctl -o short-full

becomes `1174519530.809151 new msg 5`.  A stamp of splogger's own behind the tag is the exact one and wins; without it
the logger's is taken, if what follows is a line that qmail-send writes.  Any other line stays as it is."""

from __future__ import annotations

import re
import time
from datetime import datetime

from ucspi.core import tai64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_CLOCK = rb"\d\d:\d\d:\d\d(?:[.,]\d+)?"
_DATE = rb"\d{4}-\d\d-\d\d"
_TAG = rb" \S+ [^\s:\[]+(?:\[\d+\])?: "
_SENDS = (
    rb"new msg \d|info msg \d|starting delivery \d|delivery \d+: |end msg \d|status: |(?:running|exiting)$"
    rb"|bounce msg \d|(?:double|triple) bounce: "
)
_CLASSIC = rb"(?:%b) [ \d]\d %b" % (b"|".join(_MONTHS), _CLOCK)
_ISO = rb"%b[T ]%b ?(?:Z|[+-]\d\d:?\d\d)" % (_DATE, _CLOCK)
_UNIX = rb"\d{9,}\.\d+"
_FULL = rb"\w{3} %b %b(?: [A-Z]{1,5}| [+-]\d\d)?" % (_DATE, _CLOCK)
_FRONT = rb"(?m)^[ \t]*(?:<\d+>)?"
_SPLOGGED = re.compile(_FRONT + rb"(?:%b|%b|%b|%b)%b(%b) " % (_CLASSIC, _ISO, _UNIX, _FULL, _TAG, _UNIX))
_LOGGED = re.compile(
    _FRONT
    + rb"(?:(%b)|(%b)|(%b)|(%b))" % (_CLASSIC, _ISO, _UNIX, _FULL)
    + rb"(?:%b(?=%b)| \S+ qmail(?:-send)?(?:\[\d+\])?: (?=warning: |alert: ))" % (_TAG, _SENDS)
)
_TAI64N = re.compile(rb"(?m)^[ \t]*@([0-9a-f]{16})([0-9a-f]{8})(?=[ \t]|$)")
_LOCAL = re.compile(rb"(?m)^[ \t]*(%b \d\d:\d\d:\d\d)\.(\d{9})(?= )" % _DATE)
DAY = 86400


class Normalizer:
    """Text of whole lines in, text of whole lines out, each with its stamp in front."""

    __slots__ = ("_minutes", "_now")

    def __init__(self, now: float) -> None:
        """`now`: seconds since 1970.  The classic stamp has no year: it is the last such moment before tomorrow."""
        self._now = now
        self._minutes: dict[bytes, int] = {}  # what a date up to its minute is in seconds

    def __call__(self, text: bytes) -> bytes:
        """The same lines."""
        if b"@" in text:
            text = _TAI64N.sub(_from_tai64n, text)
        text = _SPLOGGED.sub(rb"\1 ", text)
        text = _LOGGED.sub(self._from_logger, text)
        return _LOCAL.sub(self._from_local, text)

    def _from_logger(self, found: re.Match[bytes]) -> bytes:
        classic, iso, unix, full = found.groups()
        if unix:
            return bytes(unix) + b" "
        if classic:
            return self._seconds(classic, _classic) + b" "
        if full:
            return self._seconds(b" ".join(full.split()[1:3]), _local) + b" "
        return self._seconds(iso, _iso) + b" "

    def _from_local(self, found: re.Match[bytes]) -> bytes:
        return self._seconds(b"%b.%b" % (found[1], found[2]), _local)

    def _seconds(self, stamp: bytes, read: Callable[[bytes, float], int]) -> bytes:
        """`stamp` in seconds since 1970, with its own fraction."""
        colon = stamp.index(b":") + 3  # behind the minutes
        zone = stamp[colon + 3 :].lstrip(b"0123456789.,")
        minute = stamp[:colon] + zone
        start = self._minutes.get(minute)
        if start is None:
            if len(self._minutes) > 10_000:
                self._minutes.clear()
            try:
                start = read(minute, self._now)
            except (ValueError, OverflowError):  # the 31st of February, the 25th hour
                start = 0
            self._minutes[minute] = start
        fraction = stamp[colon + 3 : len(stamp) - len(zone)]
        return b"%d%b" % (start + int(stamp[colon + 1 : colon + 3]), fraction.replace(b",", b"."))


def _from_tai64n(found: re.Match[bytes]) -> bytes:
    seconds = int(found[1], 16) - tai64.EPOCH
    return b"%d.%09d" % (seconds, int(found[2], 16)) if seconds >= 0 else bytes(found[0])


def _iso(minute: bytes, _now: float) -> int:
    return int(datetime.fromisoformat(minute.decode().replace(" ", "T", 1).replace(" ", "")).timestamp())


def _local(minute: bytes, _now: float) -> int:
    return int(time.mktime(time.strptime(minute.decode(), "%Y-%m-%d %H:%M")))


def _classic(minute: bytes, now: float) -> int:
    year = time.localtime(now + DAY).tm_year
    month = _MONTHS.index(minute[:3]) + 1
    day, hour, low = int(minute[4:6]), int(minute[7:9]), int(minute[10:12])
    for candidate in (year, year - 1):
        seconds = int(time.mktime((candidate, month, day, hour, low, 0, 0, 0, -1)))
        if seconds <= now + DAY:
            break
    return seconds
