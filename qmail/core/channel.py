"""qmail-send's end of the pipes to one spawn program: delivery slots, commands out, reports in.  qmail-send(8).

A delivery takes the lowest free number (delnum) below the channel's limit, so the commands that are under way are never
more than `limit`, and what is unsent is bounded too.  The spawn program is not trusted: a report for a number
that is not out is a warning, nothing more."""

from __future__ import annotations

import heapq
import os

from qmail.core import logline, spawnproto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmail.core.job import Delivery

BLOCK = 65536


class Channel:
    """Local or remote.  `lost` turns true when the spawn program is gone; nothing can be asked of it after that."""

    __slots__ = ("_free", "_log", "_reader", "_slots", "_unsent", "index", "limit", "lost", "read_fd", "write_fd")

    def __init__(self, index: int, write: int, read: int, limit: int, log: logline.Log) -> None:
        self.index = index
        self.write_fd, self.read_fd = write, read
        self.limit = limit
        self.lost = False
        self._log = log
        self._slots: list[Delivery | None] = [None] * limit
        self._free = list(range(limit))  # a heap: ascending already
        self._unsent = b""
        self._reader = spawnproto.ReportReader()
        try:
            # A spawn program that does not read must stop nobody: the pipe takes what it can, the rest waits here.
            os.set_blocking(write, False)
        except OSError:
            self._lose()

    @property
    def used(self) -> int:
        """Deliveries that are out."""
        return self.limit - len(self._free)

    @property
    def available(self) -> bool:
        """May another delivery start?"""
        return bool(self._free) and not self.lost

    @property
    def unsent(self) -> bool:
        """Are there commands that the pipe had no room for?"""
        return bool(self._unsent) and not self.lost

    def out(self) -> Iterator[Delivery]:
        """The deliveries that are out."""
        return (delivery for delivery in self._slots if delivery)

    def start(self, delivery: Delivery, messid: bytes, sender: bytes) -> None:
        """Give `delivery` the lowest free slot.  The command leaves with the next `flush`."""
        delnum = heapq.heappop(self._free)
        self._slots[delnum] = delivery
        self._unsent += spawnproto.pack_command(delnum, messid, sender, delivery.recipient)

    def flush(self) -> None:
        """Write as many commands as fit."""
        if not self.unsent:
            return
        try:
            self._unsent = self._unsent[os.write(self.write_fd, self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._lose()

    def reports(self) -> Iterator[tuple[Delivery, bytes, bytes]]:
        """Read once, and give (delivery, letter, text) for every report that is complete; its slot is free again."""
        try:
            data = os.read(self.read_fd, BLOCK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        for delnum, letter, text in self._reader.feed(data):
            delivery = self._slots[delnum] if delnum < self.limit else None
            if delivery is None:
                self._log(logline.warning(b"internal error: delivery report out of range"))
                continue
            self._slots[delnum] = None
            heapq.heappush(self._free, delnum)
            yield delivery, letter, text

    def _lose(self) -> None:
        # What was out is neither delivered nor deferred as far as we know: its records stay T, so it is tried again.
        self.lost = True
        self._log(logline.alert(b"oh no! lost spawn connection! dying..."))
