"""except: the other way round."""

from __future__ import annotations

import pytest

from tests.support.dotcommand import Delivery, delivery
from tests.support.launchers import Result

__all__ = ["delivery"]

TEMPORARY = b"except: fatal: temporary child error\n"
CRASHED = b"except: fatal: child crashed\n"
CASES = [
    ("true", 100, b""),
    ("exit 1", 0, b""),
    ("exit 100", 0, b""),
    ("exit 99", 0, b""),
    ("exit 111", 111, TEMPORARY),
    ("kill -9 $$", 111, CRASHED),
]


@pytest.mark.parametrize(("script", "code", "text"), CASES)
def test_success_is_failure_and_failure_success(delivery: Delivery, script: str, code: int, text: bytes) -> None:
    assert delivery.run("except", "sh", "-c", script) == Result(code, b"", text)


def test_a_missing_program_has_not_succeeded(delivery: Delivery) -> None:
    assert delivery.run("except", "/no/such/program") == Result(0, b"", b"")


def test_there_must_be_a_program(delivery: Delivery) -> None:
    assert delivery.run("except") == Result(100, b"", b"except: usage: except program [ arg ... ]\n")
