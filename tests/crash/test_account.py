"""Judging the log: what may be repeated, and what must not."""

from __future__ import annotations

import pytest

from tests.crash.account import Account, Death

STATUS = b"status: local 0/10 remote 0/20\n"
GAP = b"\n"  # where somebody dies, or a qmail-send starts


def begin(delivery: int, number: int, recipient: bytes) -> bytes:
    return b"starting delivery %d: msg %d to local %b\n" % (delivery, number, recipient)


def report(delivery: int, outcome: bytes) -> bytes:
    return b"delivery %d: %b: x\n" % (delivery, outcome) + STATUS


OTHER = begin(8, 7, b"b") + STATUS  # a second recipient of message 7
AGAIN = begin(1, 7, b"a")
UNDER_WAY = begin(9, 7, b"a") + STATUS
DELIVERED = UNDER_WAY + report(9, b"success")


@pytest.mark.parametrize(
    ("before", "after", "daemon", "repeated", "wrong"),
    [
        (UNDER_WAY, AGAIN, True, 1, 0),
        (UNDER_WAY, report(9, b"deferral") + begin(10, 7, b"a"), False, 1, 0),  # its qmail-local was killed
        (UNDER_WAY, begin(10, 7, b"a"), False, 1, 0),
        (UNDER_WAY + b"delivery 9: success: x\n", OTHER + AGAIN, True, 1, 0),  # reported, not marked
        (OTHER + DELIVERED, AGAIN, True, 0, 1),  # marked
        (DELIVERED, AGAIN, True, 1, 0),  # todo was there still
        (DELIVERED + b"end msg 7\n", AGAIN, True, 0, 0),  # another message
        (UNDER_WAY + report(9, b"deferral") + OTHER, begin(10, 7, b"a"), False, 0, 0),
        (b"", UNDER_WAY + report(9, b"failure") + begin(10, 7, b"a"), False, 0, 1),
        (b"", UNDER_WAY + begin(10, 7, b"a"), False, 0, 1),
        (b"", UNDER_WAY + b"alert: oh no! lost spawn connection! dying...\n", True, 0, 0),
    ],
)
def test_a_delivery_is_repeated_if_it_was_deferred_or_somebody_died_before_it_was_noted(
    before: bytes, after: bytes, daemon: bool, repeated: int, wrong: int
) -> None:
    place = len(before)
    death = Death(place, place, daemon)
    lives = [0, place + len(GAP)] if daemon else [0]
    account = Account(before + GAP + after, lives, [death])
    assert (account.repeated.total(), len(account.wrong)) == (repeated, wrong)


def test_who_died_before_or_long_after_has_nothing_to_do_with_it() -> None:
    log = OTHER + DELIVERED + GAP + begin(10, 7, b"a") + GAP
    for place in (0, log.index(GAP + b"starting delivery 10") + 1, len(log)):
        account = Account(log, [0], [Death(place, place, False)])
        assert (account.repeated.total(), len(account.wrong)) == (0, 1)
