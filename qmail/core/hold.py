"""Messages and recipients that the administrator holds back.  qmail-qctl(8).

hold/N says what is held of message N:

    b"b" birth 0x00   then  b"A" 0x00  the whole message, or  ( b"L" address 0x00 | b"R" address 0x00 )*  recipients

`birth` (decimal) is the mtime of info/N: numbers are used again, and a file that some other message of this number left
behind, under a qmail-send that knows of no hold/, must hold nothing.  Local and remote recipients are told apart by
L and R.  The file appears and changes by a rename that lasts, so that what is held stays so over any restart."""

from __future__ import annotations

import os

from qmail.core import queuefiles
from ucspi.core import scan, streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from qmail.core.queuedir import Queue

DIRECTORY = b"hold"
LETTERS = (b"L", b"R")  # by channel: local, remote
ALL = frozenset((b"A",))
NONE: frozenset[bytes] = frozenset()


def pack(birth: int, held: Iterable[bytes]) -> bytes:
    """The file's bytes; `held` is ALL, or letters with addresses."""
    return b"b%d\0" % birth + b"".join(key + b"\0" for key in sorted(held))


def unpack(data: bytes) -> tuple[int, frozenset[bytes]]:
    """(birth, what is held).  ValueError if it makes no sense: then nobody knows whom it is about."""
    first, *keys = data.split(b"\0")
    if first[:1] != b"b" or not scan.is_number(first[1:]) or not keys or keys.pop():
        raise ValueError("no hold file")
    held = frozenset(keys)
    if not held or (held != ALL and not all(key[:1] in LETTERS for key in held)):
        raise ValueError("no hold file")
    return scan.number(first[1:]), held


def read(queue: Queue, n: int) -> frozenset[bytes]:
    """What is held of message n now.  A file that cannot be read, or is about another message, holds nothing."""
    try:
        fd = os.open(queue.hold(n), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return NONE
    try:
        birth, held = unpack(streams.read_all(fd))
        return held if birth == int(os.stat(queue.info(n)).st_mtime) else NONE
    except (OSError, ValueError):
        return NONE
    finally:
        os.close(fd)


class Holds:
    """What qmail-send holds back: read once at start, and kept in the files from then on."""

    __slots__ = ("_held", "_queue")

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._held: dict[int, frozenset[bytes]] = {}

    def load(self) -> None:
        """Read hold/, if there is one.  Files about messages that are gone go as well."""
        try:
            numbers = list(queuefiles.numbers(self._queue, DIRECTORY))
        except OSError:
            return
        for n in numbers:
            held = read(self._queue, n)
            if held:
                self._held[n] = held
            elif not os.path.lexists(self._queue.info(n)):
                self._remove(n)

    def __bool__(self) -> bool:
        return bool(self._held)

    def of(self, n: int) -> frozenset[bytes]:
        """What is held of message n: NONE, ALL, or letters with addresses."""
        return self._held.get(n, NONE)

    def holds(self, n: int, channel: int, address: bytes) -> bool:
        """Must this recipient wait?"""
        held = self._held.get(n)
        return held is not None and (held == ALL or LETTERS[channel] + address in held)

    def set(self, n: int, birth: int, held: frozenset[bytes]) -> None:
        """Hold this of message n from now on.  Raises OSError, and then nothing has changed."""
        if held == self.of(n):
            return
        if held:
            queuefiles.write_hold(self._queue, n, pack(birth, held))
            self._held[n] = held
        else:
            queuefiles.remove_hold(self._queue, n)
            del self._held[n]

    def forget(self, n: int) -> None:
        """Message n is at its end."""
        if self._held.pop(n, None) is not None:
            self._remove(n)

    def _remove(self, n: int) -> None:
        try:
            queuefiles.remove_hold(self._queue, n)
        except OSError:
            pass  # `birth` keeps it from holding another message
