"""Waiting for the disk in threads, so that deliveries and reports go on meanwhile.

fsync is most of the time that qmail-send spends on a new message, and it spends it asleep.  Many at a time cost little
more than one: the kernel commits the journal, and flushes the drive's cache, for all of them at once."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

THREADS = 8  # twice as many gain nothing more


class Disk:
    """One batch of work at a time; `fd` becomes readable when it is done."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._threads = ThreadPoolExecutor(THREADS)
        self._batch: dict[bytes, Future[None]] = {}
        self.failed: frozenset[bytes] = frozenset()

    @property
    def busy(self) -> bool:
        """True from start() until done() has said so."""
        return bool(self._batch)

    def start(self, batch: Mapping[bytes, Callable[[], None]]) -> None:
        """Begin a batch of one or more: what each works on, and the work, which raises OSError if it fails."""
        self._batch = {path: self._threads.submit(work) for path, work in batch.items()}
        for future in self._batch.values():
            future.add_done_callback(lambda _: os.write(self._write, b"\0"))

    def done(self) -> bool:
        """True, once, when the whole batch has ended; `failed` then has those that could not be done."""
        try:
            os.read(self.fd, 4096)
        except BlockingIOError:
            return False
        if not self._batch or not all(future.done() for future in self._batch.values()):
            return False
        self.failed = frozenset(path for path, future in self._batch.items() if future.exception())
        self._batch = {}
        return True

    def close(self) -> None:
        """Give threads and descriptors back; not while busy."""
        self._threads.shutdown()
        os.close(self.fd)
        os.close(self._write)
