"""Which messages and recipients of the queue are meant.  qmail-qctl(8).

    numbers     of messages; none given: all messages
    senders     patterns, one of which the envelope sender must match
    recipients  patterns, one of which a recipient must match

A pattern is an address in which * stands for any bytes and ? for one; upper and lower case are the same."""

from __future__ import annotations

from qmail.core import listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from qmail.core.queuedir import Queue


def matches(pattern: bytes, address: bytes) -> bool:
    """Does `address` match, from end to end?  In time of len(pattern) * len(address) at most."""
    pattern, address = pattern.lower(), address.lower()
    at = i = 0
    star, resume = -1, 0
    while i < len(address):
        if at < len(pattern) and pattern[at] == ord("*"):
            star, resume = at, i
            at += 1
        elif at < len(pattern) and (pattern[at] == ord("?") or pattern[at] == address[i]):
            at += 1
            i += 1
        elif star >= 0:  # let the last star take one byte more
            resume += 1
            at, i = star + 1, resume
        else:
            return False
    return not pattern[at:].strip(b"*")


class Selection:
    """One choice."""

    def __init__(
        self, numbers: Collection[int] = (), senders: Sequence[bytes] = (), recipients: Sequence[bytes] = ()
    ) -> None:
        self.numbers, self._senders, self._recipients = numbers, senders, recipients

    @property
    def whole(self) -> bool:
        """Are whole messages meant, whoever their recipients are?"""
        return not self._recipients

    def messages(self, queue: Queue) -> Iterator[tuple[listing.Message, list[listing.Recipient]]]:
        """The messages meant, with the recipients meant.  Raises listing.Unreadable."""
        for message in self._candidates(queue):
            if self._senders and not any(matches(pattern, message.sender) for pattern in self._senders):
                continue
            try:
                recipients = [each for each in message.recipients() if self._means(each)]
            except OSError:
                continue
            if recipients or self.whole:
                yield message, recipients

    def _means(self, recipient: listing.Recipient) -> bool:
        return self.whole or any(matches(pattern, recipient.address) for pattern in self._recipients)

    def _candidates(self, queue: Queue) -> Iterator[listing.Message]:
        if not self.numbers:
            yield from listing.messages(queue)
        for number in self.numbers:
            message = listing.find(queue, number)
            if message:
                yield message
