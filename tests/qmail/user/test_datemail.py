"""datemail: predate and sendmail."""

from __future__ import annotations

from tests.support.dotcommand import Delivery, delivery

__all__ = ["delivery"]


def test_sendmail_reads_the_message_after_a_local_date(delivery: Delivery) -> None:
    delivery.env["TZ"] = "XXX-5:45"
    (delivery.path / "control").mkdir()
    (delivery.path / "control" / "me").write_text("me.example\n")
    got = delivery.run("datemail", "-f", "from@x.example", "to@x.example")
    assert (got.code, got.out, got.err) == (0, b"", b"")
    kept = delivery.queued()
    assert kept is not None
    message, envelope = kept
    assert envelope == b"Ffrom@x.example\0Tto@x.example\0\0"
    assert message.count(b"Date: ") == 1 and b" +0545\n" in message
