"""What qmail-send holds in memory of a message under delivery.

A job is one message on one channel, from the start of a pass over its recipients to the last report; a delivery is one
of its recipients.  There are never more than the spawn programs take at once."""

from __future__ import annotations


class Job:
    """One message on one channel."""

    __slots__ = ("channel", "complete", "last", "left", "number", "out", "reading", "retry", "sender", "skip")

    def __init__(self, channel: int, number: int, sender: bytes, retry: int, last: bool) -> None:
        self.channel = channel
        self.number = number
        self.sender = sender
        self.retry = retry  # when to try again what this pass leaves; fixed when the pass starts
        self.last = last  # the message is too old: what fails now fails for good
        self.left = 0  # recipients that this pass tried and that are not done
        self.out = 0  # deliveries without a report
        self.reading = True  # the pass still reads the channel file
        self.complete = False  # the pass read it to its end
        self.skip: set[int] = set()  # records settled by the administrator, which the pass may still see as they were


class Delivery:
    """One recipient on its way."""

    __slots__ = ("decided", "id", "job", "position", "reason", "recipient")

    def __init__(self, id: int, job: Job, position: int, recipient: bytes) -> None:
        self.id = id  # counts from 1 over both channels as long as qmail-send lives; for the log only
        self.job = job
        self.position = position  # of its record in the channel file
        self.recipient = recipient
        self.decided = False  # the administrator lets it be tried no more if it does not succeed:
        self.reason: bytes | None = None  # why, for the bounce; None: without one
