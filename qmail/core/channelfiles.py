"""todo/N becomes info/N, local/N and remote/N.  INTERNALS S4 to S5."""

from __future__ import annotations

import os
from functools import partial

from qmail.core import envelope
from qmail.core.numbering import EXCLUSIVE
from qmail.core.queuedir import BLOCK, Queue, sync_directory
from qmail.core.queuefiles import LOCAL, REMOTE, remove
from ucspi.core import streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator


class Trouble(Exception):
    """What could not be done, as qmail-send logs it: `unable to create info/8/123`."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


class Gone(Trouble):
    """The message has been preprocessed, or delivered, since the directory was read."""


class _Growing:
    """A file of info, local or remote while it is written."""

    __slots__ = ("_data", "_fd", "_size", "directory", "name", "path")

    def __init__(self, queue: Queue, name: bytes) -> None:
        self.name = name
        self.path = queue.at(name)
        self.directory = os.path.dirname(self.path)
        self._data: list[bytes] = []
        self._size = 0
        try:
            self._fd = os.open(self.path, EXCLUSIVE, 0o600)
        except OSError as error:
            raise Trouble(b"unable to create " + name) from error

    def write(self, data: bytes) -> None:
        self._data.append(data)
        self._size += len(data)
        if self._size >= BLOCK:
            self._flush()

    def end(self) -> None:
        """All is written, but need not last yet."""
        self._flush()

    def sync(self) -> None:
        """Make the bytes last.  Raises OSError."""
        os.fsync(self._fd)

    def close(self) -> None:
        os.close(self._fd)

    def _flush(self) -> None:
        data, self._data, self._size = b"".join(self._data), [], 0
        try:
            streams.write_all(self._fd, data)
        except OSError as error:
            raise Trouble(b"trouble writing to " + self.name) from error


class Preprocessing:
    """todo/N on its way to info/N, local/N and remote/N.

    In this order: records(), sender(), recipient(), end(), syncs(), check(), close().

    Raises Trouble.  Until check() passes nothing has happened: the next try removes the traces of this one."""

    __slots__ = ("_files", "_queue", "_todo", "n", "size")

    def __init__(self, queue: Queue, n: int) -> None:
        self._queue = queue
        self.n = n
        self._files: dict[bytes, _Growing] = {}
        try:
            self._todo = os.open(queue.todo(n), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            kind = Gone if isinstance(error, FileNotFoundError) else Trouble
            raise kind(b"unable to open " + queue.todo_name(n)) from error
        try:
            self.size = self._stat_mess()
            # An earlier try may have got anywhere before a crash.  While todo exists none of these count.  Nor does a
            # bounce: a power cut may bring one back, even that of an earlier message which had this number, and
            # this one's sender must not be told of it.  Whoever it is about is tried again.
            for name in (*(queue.split_name(kind, n) for kind in (LOCAL, REMOTE, b"info")), queue.bounce_name(n)):
                self._unlink(name)
            self._files[b"info"] = _Growing(queue, queue.info_name(n))
        except Trouble:
            self.close()
            raise

    def records(self) -> Iterator[bytes]:
        """Yield the records of todo, letter first, without 0x00."""
        try:
            yield from envelope.records(streams.blocks(self._todo))
        except OSError as error:
            raise Trouble(b"trouble reading " + self._queue.todo_name(self.n)) from error

    def sender(self, sender: bytes) -> None:
        """Write the sender to info."""
        self._files[b"info"].write(b"F%b\0" % sender)

    def recipient(self, channel: bytes, address: bytes) -> None:
        """Add a recipient to a channel."""
        if channel not in self._files:
            self._files[channel] = _Growing(self._queue, self._queue.split_name(channel, self.n))
        self._files[channel].write(b"T%b\0" % address)

    @property
    def channels(self) -> list[bytes]:
        """The channels that have recipients."""
        return [channel for channel in (LOCAL, REMOTE) if channel in self._files]

    def end(self) -> None:
        """Everything is sorted: write it out.  What remains is to wait for the disk."""
        for file in self._files.values():
            file.end()

    def syncs(self) -> Iterator[tuple[bytes, Callable[[], None]]]:
        """What makes bytes and names last: paths, and what syncs each.  In any order, for several messages at a time.

        Only when all are done may qmail-clean be asked to unlink intd and todo: were todo to go before the name of a
        channel file lasts, a crash would lose its recipients."""
        for file in self._files.values():
            yield file.path, file.sync
            yield file.directory, partial(sync_directory, file.directory)

    def check(self, failed: Container[bytes]) -> None:
        """Raise Trouble if one of this message's paths has failed.  It is written anew then, never synced again."""
        for file in self._files.values():
            if file.path in failed or file.directory in failed:
                raise Trouble(b"trouble fsyncing " + file.name)

    def close(self) -> None:
        """Close all files; after check(), or to give up."""
        os.close(self._todo)
        for file in self._files.values():
            file.close()

    def _stat_mess(self) -> int:
        try:
            return os.stat(self._queue.mess(self.n)).st_size
        except OSError as error:
            raise Trouble(b"unable to stat " + self._queue.mess_name(self.n)) from error

    def _unlink(self, name: bytes) -> None:
        try:
            remove(self._queue.at(name))
        except OSError as error:
            raise Trouble(b"unable to unlink " + name) from error
