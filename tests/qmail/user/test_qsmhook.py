"""qsmhook: a mailer as sendmail calls it."""

from __future__ import annotations

import pytest

from qmail.user.qsmhook import expand
from tests.support.dotcommand import MESSAGE, VARIABLES, Delivery, delivery
from tests.support.launchers import Result

__all__ = ["delivery"]

U, R, D = (VARIABLES[name].encode() for name in ("UFLINE", "RPLINE", "DTLINE"))
MEANINGS = {b"%": b"%", b"g": b"s@s", b"h": b"h.example", b"u": b"joe"}


@pytest.mark.parametrize(
    ("word", "expanded"),
    [
        (b"%u", b"joe"),
        (b"a%ub", b"ajoeb"),
        (b"%g at %h", b"s@s at h.example"),
        (b"%%", b"%"),
        (b"%%%u", b"%joe"),
        (b"%%u", b"%u"),
        (b"%", b""),
        (b"a%zb", b"ab"),
        (b"%%%", b"%"),
        (b"", b""),
    ],
)
def test_percent_letters_stand_for_the_envelope(word: bytes, expanded: bytes) -> None:
    assert expand(word, MEANINGS) == expanded


@pytest.mark.parametrize(
    ("options", "lines"), [((), U), (("-n",), b""), (("-nP",), R), (("-l",), U + D), (("-DFMmsPl",), U + R + D)]
)
def test_options_choose_the_lines(delivery: Delivery, options: tuple[str, ...], lines: bytes) -> None:
    assert delivery.run("qsmhook", *options, "cat") == Result(0, lines + MESSAGE, b"")


def test_a_prefix_is_taken_off_the_local_part_in_any_case(delivery: Delivery) -> None:
    assert delivery.run("qsmhook", "-x", "JOE-", "echo", "%u").out == b"x\n"
    assert delivery.run("qsmhook", "-x", "jim-", "echo", "%u").out == b"joe-x\n"


def test_failures(delivery: Delivery) -> None:
    usage = Result(100, b"", b"qsmhook: fatal: incorrect usage\n")
    assert delivery.run("qsmhook") == usage
    assert delivery.run("qsmhook", "no-such-program") == Result(100, b"", b"qsmhook: fatal: command not found\n")
    assert delivery.run("qsmhook", "sh", "-c", "exit 9") == Result(9, b"", b"")
    crashed = Result(111, b"", b"qsmhook: fatal: temporary problem\n")
    assert delivery.run("qsmhook", "sh", "-c", "kill -9 $$") == crashed
    del delivery.env["HOST"]
    assert delivery.run("qsmhook", "cat") == usage
