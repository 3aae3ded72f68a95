"""How many connections each client address has, over all workers of a pool."""

from __future__ import annotations

import mmap
import socket

WIDTH = 16  # bytes: an IPv6 address; IPv4 as ::ffff:1.2.3.4


class Crowd:
    """A table in shared memory, one address a worker.  Made before the workers are forked."""

    def __init__(self, places: int, most: int) -> None:
        """`places` workers, and at most `most` connections from one address."""
        self.most = most
        self._table = mmap.mmap(-1, places * WIDTH)

    def enter(self, place: int, ip: bytes) -> bool:
        """The worker at `place` has a client; False if it is one too many.

        It stands in the table first and is counted then: of two that come at once both may be refused, never served."""
        address = _packed(ip)
        self._table[place * WIDTH : (place + 1) * WIDTH] = address
        return self._count(address) <= self.most

    def leave(self, place: int) -> None:
        """The client is gone."""
        self._table[place * WIDTH : (place + 1) * WIDTH] = bytes(WIDTH)

    def _count(self, address: bytes) -> int:
        table = self._table[:]
        count, at = 0, table.find(address)
        while at >= 0:
            count += at % WIDTH == 0
            at = table.find(address, at + 1)
        return count


def _packed(ip: bytes) -> bytes:
    text = ip.decode("ascii")
    return socket.inet_pton(socket.AF_INET6, text if ":" in text else "::ffff:" + text)
