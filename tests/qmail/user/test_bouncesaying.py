"""bouncesaying: no, and why."""

from __future__ import annotations

import pytest

from tests.support.dotcommand import Delivery, delivery
from tests.support.launchers import Result

__all__ = ["delivery"]


@pytest.mark.parametrize("words", [("go away",), ("go away", "true"), ("go away", "sh", "-c", "exit 0")])
def test_the_text_is_the_whole_report(delivery: Delivery, words: tuple[str, ...]) -> None:
    assert delivery.run("bouncesaying", *words) == Result(100, b"", b"go away\n")


@pytest.mark.parametrize("words", [("x", "false"), ("x", "sh", "-c", "exit 100"), ("x", "/no/such/program")])
def test_a_program_that_says_no_lets_the_message_pass(delivery: Delivery, words: tuple[str, ...]) -> None:
    assert delivery.run("bouncesaying", *words) == Result(0, b"", b"")


def test_a_program_that_does_not_know_is_asked_again_later(delivery: Delivery) -> None:
    got = delivery.run("bouncesaying", "x", "sh", "-c", "exit 111")
    assert got == Result(111, b"", b"bouncesaying: fatal: temporary child error\n")


def test_there_must_be_a_text(delivery: Delivery) -> None:
    usage = b"bouncesaying: usage: bouncesaying error [ program [ arg ... ] ]\n"
    assert delivery.run("bouncesaying") == Result(100, b"", usage)
