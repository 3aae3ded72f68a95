"""predate: a date first."""

from __future__ import annotations

import time

import pytest

from qmail.user.predate import date_line
from tests.support.dotcommand import MESSAGE, Delivery, delivery
from tests.support.launchers import Result

__all__ = ["delivery"]


def local_time(offset: int) -> time.struct_time:
    return time.struct_time((2026, 11, 3, 3, 2, 4, 1, 307, 0), {"tm_gmtoff": offset, "tm_zone": "X"})


@pytest.mark.parametrize(
    ("offset", "zone"), [(-18000, b"-0500"), (0, b"+0000"), (19800, b"+0530"), (20700, b"+0545"), (-12600, b"-0330")]
)
def test_the_line_has_local_time_and_the_zones_distance(offset: int, zone: bytes) -> None:
    assert date_line(local_time(offset)) == b"Date: 3 Nov 2026 03:02:04 " + zone + b"\n"


@pytest.mark.parametrize(("zone", "end"), [("XXX-5:45", b" +0545"), ("XXX3", b" -0300"), ("UTC", b" +0000")])
def test_the_zone_is_the_callers(delivery: Delivery, zone: str, end: bytes) -> None:
    delivery.env["TZ"] = zone
    got = delivery.run("predate", "cat")
    date, _, rest = got.out.partition(b"\n")
    assert (got.code, got.err, rest) == (0, b"", MESSAGE)
    assert date.startswith(b"Date: ") and date.endswith(end)


def test_the_childs_exit_code_is_the_answer_even_if_it_does_not_read(delivery: Delivery) -> None:
    assert delivery.run("predate", "sh", "-c", "exit 3", message=b"x" * 300000) == Result(3, b"", b"")
    assert delivery.run("predate", "sh", "-c", "kill -9 $$") == Result(111, b"", b"predate: fatal: child crashed\n")


def test_a_child_that_cannot_be_run_may_be_there_later(delivery: Delivery) -> None:
    text = b"predate: fatal: unable to run no-such-program: file does not exist\n"
    assert delivery.run("predate", "no-such-program") == Result(111, b"", text)
    assert delivery.run("predate") == Result(100, b"", b"predate: usage: predate child\n")
