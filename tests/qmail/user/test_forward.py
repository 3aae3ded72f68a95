"""forward: the message again, for somebody else."""

from __future__ import annotations

import pytest

from tests.support.dotcommand import MESSAGE, Delivery, delivery
from tests.support.launchers import Result

__all__ = ["delivery"]


def test_the_message_goes_to_all_addresses_in_one_envelope(delivery: Delivery) -> None:
    assert delivery.run("forward", "a@b", "c d@e") == Result(0, b"", b"forward: qp N\n")
    expected = b"Delivered-To: joe-x@h.example\n" + MESSAGE, b"Fnew@s.example\0Ta@b\0Tc d@e\0\0"
    assert delivery.queued() == expected


def test_without_addresses_there_is_a_message_for_nobody(delivery: Delivery) -> None:
    assert delivery.run("forward").code == 0
    kept = delivery.queued()
    assert kept is not None and kept[1] == b"Fnew@s.example\0\0"


@pytest.mark.parametrize("name", ["NEWSENDER", "DTLINE"])
def test_without_the_variables_it_is_no_delivery(delivery: Delivery, name: str) -> None:
    del delivery.env[name]
    assert delivery.run("forward", "a@b") == Result(100, b"", f"forward: fatal: {name} not set\n".encode())


@pytest.mark.parametrize(
    ("code", "exit_code", "text"),
    [
        ("31", 100, b"mail server permanently rejected message (#5.3.0)"),
        ("53", 111, b"qq write error or disk full (#4.3.0)"),
        ("1", 111, b"qq temporary problem (#4.3.0)"),
    ],
)
def test_a_refusal_by_the_queue_is_passed_on(delivery: Delivery, code: str, exit_code: int, text: bytes) -> None:
    delivery.env["CODE"] = code
    assert delivery.run("forward", "a@b") == Result(exit_code, b"", b"forward: fatal: " + text + b"\n")
