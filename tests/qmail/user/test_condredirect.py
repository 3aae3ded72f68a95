"""condredirect: somewhere else, if a program says so."""

from __future__ import annotations

import pytest

from tests.support.dotcommand import MESSAGE, Delivery, delivery
from tests.support.launchers import Result

__all__ = ["delivery"]


def test_the_message_goes_elsewhere_and_no_further_line_counts(delivery: Delivery) -> None:
    got = delivery.run("condredirect", "new@x", "sh", "-c", "cat >/dev/null")
    assert got == Result(99, b"", b"condredirect: qp N\n")
    assert delivery.queued() == (b"Delivered-To: joe-x@h.example\n" + MESSAGE, b"Fs@s.example\0Tnew@x\0\0")


@pytest.mark.parametrize("program", [("false",), ("sh", "-c", "exit 99"), ("/no/such/program",), ("no-such-program",)])
def test_anything_but_yes_leaves_the_message_here(delivery: Delivery, program: tuple[str, ...]) -> None:
    assert delivery.run("condredirect", "new@x", *program) == Result(0, b"", b"")
    assert delivery.queued() is None


@pytest.mark.parametrize(("script", "text"), [("exit 111", b"temporary child error"), ("kill -9 $$", b"child crashed")])
def test_a_program_that_does_not_know_is_asked_again_later(delivery: Delivery, script: str, text: bytes) -> None:
    got = delivery.run("condredirect", "new@x", "sh", "-c", script)
    assert got == Result(111, b"", b"condredirect: fatal: " + text + b"\n")
    assert delivery.queued() is None


@pytest.mark.parametrize("name", ["SENDER", "DTLINE"])
def test_without_the_variables_it_is_no_delivery(delivery: Delivery, name: str) -> None:
    del delivery.env[name]
    assert delivery.run("condredirect", "x", "true") == Result(
        100, b"", f"condredirect: fatal: {name} not set\n".encode()
    )


@pytest.mark.parametrize("words", [(), ("new@x",)])
def test_an_address_alone_is_no_command(delivery: Delivery, words: tuple[str, ...]) -> None:
    usage = b"condredirect: usage: condredirect newaddress program [ arg ... ]\n"
    assert delivery.run("condredirect", *words) == Result(100, b"", usage)
