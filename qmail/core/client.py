"""The client that a server talks to on descriptors 0 and 1.

Replies are gathered, and written before the next wait: a client that sends many commands at once gets the replies in
one write (RFC 2920 3.2)."""

from __future__ import annotations

import time

from ucspi.core import streams

HELD = 32768  # bytes that are held at most, and a block of a message: all of it stays in the cache


class Gone(Exception):
    """The client has gone, or takes nothing; there is nobody to tell."""


class Silent(Gone):
    """The client says nothing."""


class Client:
    """Raises Gone, and Silent when it is only silent for too long."""

    __slots__ = ("_deadline", "_held", "_idle", "_size")

    def __init__(self, idle: float, total: float | None = None) -> None:
        """`idle`: seconds for one read or write; `total`: for everything from now on."""
        self._idle = idle
        self._deadline = None if total is None else time.monotonic() + total
        self._held: list[bytes] = []
        self._size = 0

    def send(self, data: bytes) -> None:
        """Send `data`, now or with what follows."""
        self._held.append(data)
        self._size += len(data)
        if self._size >= HELD:
            self.flush()

    def flush(self) -> None:
        """Send what is held back."""
        if self._held:
            data = b"".join(self._held)
            self._held.clear()
            self._size = 0
            try:
                streams.write_within(1, data, self._patience())
            except OSError as error:
                raise Gone from error

    def receive(self) -> bytes:
        """What the client says next; b"" when it has gone."""
        self.flush()
        try:
            return streams.read_within(0, streams.BLOCK, self._patience())
        except TimeoutError as error:
            raise Silent from error
        except OSError as error:
            raise Gone from error

    def _patience(self) -> float:
        if self._deadline is None:
            return self._idle
        return min(self._idle, max(0.0, self._deadline - time.monotonic()))
