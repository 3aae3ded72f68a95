"""A message on a descriptor, read in blocks, of which is known beforehand whether SMTP needs eight bits for it.

A file is looked through and read again from where it was.  Of a pipe only the first block is known; what is longer may
hold anything, and is taken for eight bits, which is never wrong to say (RFC 6152)."""

from __future__ import annotations

import os

from ucspi.core import streams


class MessageFile:
    """`eightbit`: there may be bytes above 127.  A read error is told by read(), when the message is wanted."""

    __slots__ = ("_error", "_first", "_whole", "eightbit", "fd")
    may_be_completed = False  # a last line without newline is not sent as another one (qmail-remote)

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.eightbit = self._whole = False
        self._error: OSError | None = None
        self._first = b""
        try:
            self._look()
        except OSError as e:
            self._error = e

    def _look(self) -> None:
        self._first = streams.read_some(self.fd)
        self.eightbit = not self._first.isascii()
        if len(self._first) < streams.BLOCK and not (following := streams.read_some(self.fd)):
            self._whole = True
        elif len(self._first) < streams.BLOCK:
            self._first += following
            self.eightbit = self.eightbit or not following.isascii()
        if not self._whole and not self.eightbit:
            self.eightbit = self._look_further()

    def _look_further(self) -> bool:
        try:
            here = os.lseek(self.fd, 0, os.SEEK_CUR)
        except OSError:
            return True  # a pipe
        found = any(not block.isascii() for block in streams.blocks(self.fd))
        os.lseek(self.fd, here, os.SEEK_SET)
        return found

    def read(self) -> bytes:
        """The next block; b"" at the end.  Raises OSError."""
        if self._error is not None:
            raise self._error
        if self._first:
            block, self._first = self._first, b""
            return block
        return b"" if self._whole else streams.read_some(self.fd)
