"""A clock that somebody sets."""

from __future__ import annotations

from qmail.core.clock import SLACK, Clock


def test_only_what_the_steady_clock_does_not_confirm_is_a_jump() -> None:
    day, steady = 1_000_000.0, 500.0
    clock = Clock(lambda: day, lambda: steady)
    assert (clock.now(), clock.jump()) == (1_000_000, 0)
    day, steady = day + 3600, steady + 3600
    assert clock.jump() == 0
    day += 7200
    assert clock.jump() == 7200
    assert clock.jump() == 0
    for slew in (SLACK, -SLACK):
        day += slew
        assert clock.jump() == 0
    day -= 86400
    assert clock.jump() == -86400
    assert clock.jump() == 0
