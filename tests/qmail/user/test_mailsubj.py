"""mailsubj: mail from scripts."""

from __future__ import annotations

import os
import subprocess

from tests.support import launchers
from tests.support.dotcommand import Delivery, delivery

__all__ = ["delivery"]


def prepare(delivery: Delivery) -> None:
    (delivery.path / "control").mkdir()
    (delivery.path / "control" / "me").write_text("me.example\n")


def test_subject_and_recipients_make_the_header(delivery: Delivery) -> None:
    prepare(delivery)
    got = delivery.run("mailsubj", "a  subject\\n", "a@x.example", "b@x.example", message=b"body\n")
    assert (got.code, got.out, got.err) == (0, b"", b"")
    kept = delivery.queued()
    assert kept is not None
    message, envelope = kept
    assert sorted(envelope.split(b"\0")[1:3]) == [b"Ta@x.example", b"Tb@x.example"]
    assert b"Subject: a  subject\\n\n" in message and b"To: a@x.example, b@x.example\n" in message
    assert message.endswith(b"\n\nbody\n")


def test_the_queues_refusal_is_its_own(delivery: Delivery) -> None:
    prepare(delivery)
    delivery.env["CODE"] = "53"
    assert delivery.run("mailsubj", "s", "a@x.example").code == 111


def test_there_must_be_a_subject(delivery: Delivery) -> None:
    got = delivery.run("mailsubj")
    assert (got.code, got.err) == (100, b"mailsubj: usage: mailsubj subject recipient ...\n")


def test_a_body_that_cannot_be_read_is_not_sent_in_part(delivery: Delivery) -> None:
    prepare(delivery)
    unreadable = os.open(delivery.path / "x", os.O_WRONLY | os.O_CREAT)
    done = subprocess.run(
        [launchers.ours("mailsubj"), "s", "a@x.example"], stdin=unreadable, capture_output=True, env=delivery.env
    )
    os.close(unreadable)
    text = b"mailsubj: fatal: unable to read message: file descriptor not open\n"
    assert (done.returncode, done.stderr) == (111, text)
    assert delivery.queued() is None
