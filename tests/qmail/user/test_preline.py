"""preline: what goes before the message."""

from __future__ import annotations

import pytest

from tests.support.dotcommand import MESSAGE, VARIABLES, Delivery, delivery
from tests.support.launchers import Result

__all__ = ["delivery"]

U, R, D = (VARIABLES[name].encode() for name in ("UFLINE", "RPLINE", "DTLINE"))
BIG = b"x" * 70 * 5000
USAGE = Result(100, b"", b"preline: usage: preline cmd [ arg ... ]\n")


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ((), U + R + D),
        (("-f",), R + D),
        (("-r",), U + D),
        (("-d",), U + R),
        (("-frd",), b""),
        (("-frdFRD",), U + R + D),
    ],
)
def test_each_line_can_be_left_out(delivery: Delivery, options: tuple[str, ...], lines: bytes) -> None:
    assert delivery.run("preline", *options, "cat") == Result(0, lines + MESSAGE, b"")


def test_a_large_message_passes_whole(delivery: Delivery) -> None:
    assert delivery.run("preline", "-frd", "cat", message=BIG).out == BIG


def test_a_script_without_magic_number_is_the_shells(delivery: Delivery) -> None:
    script = delivery.path / "script"
    script.write_text('cat >/dev/null; echo "$@"\n')
    script.chmod(0o755)
    assert delivery.run("preline", "./script", "a", "b") == Result(0, b"a b\n", b"")


def test_the_programs_exit_code_is_the_answer(delivery: Delivery) -> None:
    assert delivery.run("preline", "sh", "-c", "exit 7") == Result(7, b"", b"")
    assert delivery.run("preline", "sh", "-c", "kill -9 $$") == Result(111, b"", b"preline: fatal: child crashed\n")


def test_a_program_that_is_not_there_will_not_be_there_later(delivery: Delivery) -> None:
    text = b"preline: fatal: unable to run no-such-program: file does not exist\n"
    assert delivery.run("preline", "no-such-program") == Result(100, b"", text)


def test_a_program_that_stops_reading_is_noticed_if_the_message_is_large(delivery: Delivery) -> None:
    text = b"preline: fatal: unable to copy input: broken pipe\n"
    assert delivery.run("preline", "true", message=BIG) == Result(111, b"", text)
    assert delivery.run("preline", "true") == Result(0, b"", b"")


@pytest.mark.parametrize("name", ["UFLINE", "RPLINE", "DTLINE"])
def test_it_only_works_in_a_delivery(delivery: Delivery, name: str) -> None:
    del delivery.env[name]
    assert delivery.run("preline", "cat") == USAGE


def test_there_must_be_a_command(delivery: Delivery) -> None:
    assert delivery.run("preline") == USAGE
    assert delivery.run("preline", "-f") == USAGE
