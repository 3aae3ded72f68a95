"""qreceipt: yes, it was delivered."""

from __future__ import annotations

import pytest

from tests.support.dotcommand import Delivery, delivery
from tests.support.launchers import Result

__all__ = ["delivery"]

ASK = b"Notice-Requested-Upon-Delivery-To: "
NOTICE = b"""From: DELIVERY NOTICE SYSTEM <%b>
To: <%b>
Subject: success notice

Hi! This is the qreceipt program. Your message was delivered to the
following address: j@h. Thanks for asking.
"""
ASKED = [
    ASK + b"j@h\n\nbody\n",
    ASK + b"j@h",
    ASK + b'"Joe X" <j@h>, other@x\n\n',
    ASK + b"(a comment) j @ h\n\n",
    ASK + b"x@y\n" + ASK + b"j@h\n\n",
    b"From someone\n" + ASK + b"j@h\n\n",
    b"notice-requested-upon-delivery-TO : j@h\n\n",
]
NOT_ASKED = [ASK + b"J@h\n\n", ASK + b"k@h\n\n", b"no header\n" + ASK + b"j@h\n\n", b"\n" + ASK + b"j@h\n", b""]


@pytest.mark.parametrize("message", ASKED)
def test_whoever_asks_is_told(delivery: Delivery, message: bytes) -> None:
    assert delivery.run("qreceipt", "j@h", message=message) == Result(0, b"", b"")
    sender = b"s@s.example"
    assert delivery.queued() == (NOTICE % (sender, sender), b"F\0Ts@s.example\0\0")


def test_the_sender_is_quoted_and_the_message_named(delivery: Delivery) -> None:
    delivery.env["SENDER"] = "a b@x"
    delivery.run("qreceipt", "j@h", message=b"Message-id: <x@y>\n z\n" + ASK + b"j@h\n\n")
    notice = NOTICE % (b'"a b"@x', b'"a b"@x') + b"Your Message-id: <x@y>\n z\n"
    assert delivery.queued() == (notice, b"F\0Ta b@x\0\0")


@pytest.mark.parametrize("message", NOT_ASKED)
def test_who_does_not_ask_is_not_told(delivery: Delivery, message: bytes) -> None:
    assert delivery.run("qreceipt", "j@h", message=message) == Result(0, b"", b"")
    assert delivery.queued() is None


@pytest.mark.parametrize("sender", ["", "#@[]"])
def test_bounces_are_never_answered(delivery: Delivery, sender: str) -> None:
    delivery.env["SENDER"] = sender
    assert delivery.run("qreceipt", "j@h", message=ASKED[0]) == Result(0, b"", b"")
    assert delivery.queued() is None


@pytest.mark.parametrize(("code", "exit_code", "kind"), [("31", 100, b"permanent"), ("53", 111, b"temporary")])
def test_a_refusal_by_the_queue_is_passed_on(delivery: Delivery, code: str, exit_code: int, kind: bytes) -> None:
    delivery.env["CODE"] = code
    text = b"qreceipt: fatal: " + kind + b" qmail-queue error\n"
    assert delivery.run("qreceipt", "j@h", message=ASKED[0]) == Result(exit_code, b"", text)


def test_a_field_that_cannot_be_read_is_shown(delivery: Delivery) -> None:
    got = delivery.run("qreceipt", "j@h", message=ASK + b"j@h (c\n\n")
    assert got == Result(100, b"", b"qreceipt: fatal: unable to parse this: " + ASK + b"j@h (c\n")


def test_it_wants_an_address_and_a_sender(delivery: Delivery) -> None:
    usage = Result(100, b"", b"qreceipt: usage: qreceipt deliveryaddress\n")
    assert delivery.run("qreceipt") == usage
    del delivery.env["SENDER"]
    assert delivery.run("qreceipt", "j@h") == usage
