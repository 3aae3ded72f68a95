"""A log of qmail-send as long as one likes, made from nothing but a number of deliveries.

Ten messages are under way at a time; every tenth has three recipients, every fifth two; a third of the recipients is remote,
and some of those are deferred or refused.  Counts follow from the number of deliveries alone: `expected` says them."""

from __future__ import annotations

from collections.abc import Iterator

UNDER_WAY = 10
START = 1_700_000_000_000_000  # microseconds
DEFERRED = "deferral: Connected_to_192.0.2.7_but_greeting_failed./"
REFUSED = "failure: 192.0.2.9_does_not_like_recipient./Remote_host_said:_550_no_such_user/Giving_up_on_192.0.2.9./"
SENT = "success: 192.0.2.8_accepted_message./Remote_host_said:_250_ok/"
STORED = "success: did_1+0+0/"


def recipients(i: int) -> int:
    """How many message `i` has."""
    return 3 if i % 10 == 0 else 2 if i % 10 == 5 else 1


def size(i: int) -> int:
    """The bytes of message `i`."""
    return 700 + i * 31 % 9973


def _recipient(i: int, k: int) -> tuple[str, str]:
    """Channel and address of recipient `k` of message `i`, and what becomes of it."""
    if (i + k) % 3:
        return f"local rcpt{(i * 17 + k) % 5003}@mail.example.net", STORED
    outcome = DEFERRED if (i + k) % 31 == 0 else REFUSED if (i + k) % 37 == 0 else SENT
    return f"remote rcpt{(i * 17 + k) % 5003}@host{(i * 13 + k) % 401}.example.com", outcome


def _stamp(microseconds: int) -> str:
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{seconds}.{rest:06d}"


def blocks(deliveries: int) -> Iterator[bytes]:
    """The log, in pieces of whole lines."""
    now, delivery, i = START, 0, 0
    waiting: list[tuple[int, list[tuple[int, str]]]] = []
    parts: list[str] = []
    while delivery < deliveries or waiting:
        if delivery < deliveries:
            now += 12_347 + i * 7919 % 5003
            first = delivery
            delivery = min(deliveries, delivery + recipients(i))
            lines, outcomes = _begin(i, now, first, delivery)
            parts.append(lines)
            waiting.append((219_000 + i % 4099, outcomes))
            i += 1
        if len(waiting) >= UNDER_WAY or delivery == deliveries:
            now += 100
            lines, now = _finish(now, *waiting.pop(0))
            parts.append(lines)
        if len(parts) > 2000:
            yield "".join(parts).encode()
            parts.clear()
    yield "".join(parts).encode()


def _begin(i: int, now: int, first: int, last: int) -> tuple[str, list[tuple[int, str]]]:
    number = 219_000 + i % 4099
    then = _stamp(now + 651)
    sender = f"user{i % 1009}@example{i % 53}.org"
    lines = [
        f"{_stamp(now)} new msg {number}\n{then} info msg {number}: bytes {size(i)} from <{sender}>"
        f" qp {2000 + i % 29989} uid {1000 + i % 7}\n"
    ]
    outcomes = []
    for k, delivery in enumerate(range(first + 1, last + 1)):
        recipient, outcome = _recipient(i, k)
        lines.append(f"{then} starting delivery {delivery}: msg {number} to {recipient}\n")
        lines.append(f"{then} status: local {delivery % 10}/10 remote {k}/20\n")
        outcomes.append((delivery, outcome))
    return "".join(lines), outcomes


def _finish(now: int, number: int, outcomes: list[tuple[int, str]]) -> tuple[str, int]:
    lines = []
    for delivery, outcome in outcomes:
        now += 700 + delivery % 7
        stamp = _stamp(now)
        lines.append(f"{stamp} delivery {delivery}: {outcome}\n{stamp} status: local 3/10 remote 2/20\n")
    now += 30
    lines.append(f"{_stamp(now)} end msg {number}\n")
    return "".join(lines), now


def expected(deliveries: int) -> dict[str, int]:
    """What zoverall says of it, by its labels, as far as it is whole numbers."""
    left, i, octets, weighted = deliveries, 0, 0, 0
    counts = {"success": 0, "failure": 0, "deferral": 0}
    while left:
        n = min(left, recipients(i))
        outcomes = [_recipient(i, k)[1].partition(":")[0] for k in range(n)]
        for outcome in outcomes:
            counts[outcome] += 1
        octets += size(i)
        weighted += size(i) * outcomes.count("success")
        left -= n
        i += 1
    return {
        "Completed messages": i,
        "Recipients for completed messages": deliveries - counts["deferral"],
        "Total delivery attempts for completed messages": deliveries,
        "Bytes in completed messages": octets,
        "Bytes weighted by success": weighted,
        "Total delivery attempts": deliveries,
        **counts,
    }
