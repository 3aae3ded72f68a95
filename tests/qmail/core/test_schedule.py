"""When messages are tried.  Expected values: spec qmail-queue 7.6."""

from __future__ import annotations

import pytest

from qmail.core.schedule import Schedule, next_attempt

LOCAL, REMOTE = 0, 1


@pytest.mark.parametrize(
    ("age", "channel", "after"),
    [
        (31, REMOTE, 625),
        (0, REMOTE, 400),
        (400, REMOTE, 1600),
        (1600, REMOTE, 3600),
        (3600, REMOTE, 6400),
        (0, LOCAL, 100),
        (100, LOCAL, 400),
        (99, LOCAL, 361),
        (400, LOCAL, 900),
        (-50, REMOTE, 400),
    ],
)
def test_the_next_attempt_grows_with_the_square_of_the_tries(age: int, channel: int, after: int) -> None:
    birth = 1795421127
    assert next_attempt(birth, birth + age, channel) == birth + after


def test_the_earliest_comes_first() -> None:
    schedule = Schedule()
    for when, number in ((30, 1), (10, 2), (20, 3), (10, 4)):
        schedule.add(when, number)
    assert len(schedule) == 4
    assert (schedule.earliest(99), schedule.earliest(5)) == (10, 5)
    assert not schedule.due(9) and schedule.due(10)
    assert [schedule.pop() for _ in range(4)] == [(10, 2), (10, 4), (20, 3), (30, 1)]
    assert not schedule.due(99) and schedule.earliest(7) == 7


def test_alarm_makes_all_due_and_what_was_overdue_keeps_its_place() -> None:
    schedule = Schedule()
    for when, number in ((300, 1), (10, 2), (200, 3), (50, 4)):
        schedule.add(when, number)
    schedule.all_now(100)
    assert [schedule.pop() for _ in range(4)] == [(10, 2), (50, 4), (100, 1), (100, 3)]


def test_a_birth_that_is_far_ahead_is_now() -> None:
    assert next_attempt(2_000_000_000, 1_000_000_000, 1) == 1_000_000_000 + 400


def test_all_times_can_be_moved() -> None:
    times = Schedule()
    for when, number in ((30, 1), (10, 2), (20, 3)):
        times.add(when, number)
    times.shift(-5)
    assert [times.pop() for _ in range(3)] == [(5, 2), (15, 3), (25, 1)]
