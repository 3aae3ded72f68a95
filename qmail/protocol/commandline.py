"""Command lines as the originals' SMTP and POP3 servers read them.

A line ends at LF; one CR before it is dropped; a NUL cuts it, as it cuts a C string.  The verb runs up to the first
space and counts in any case; the argument follows the run of spaces behind it, and keeps its own trailing ones.
A TAB separates nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# The originals hold a line of any length; RFC 1939 and 2449 allow 255 bytes.  A client must not make us grow.
LONGEST = 16384


class LineTooLong(Exception):
    """The client sent more than LONGEST bytes without a newline."""


def split(line: bytes) -> tuple[bytes, bytes]:
    """Verb, in lower case, and argument of one line that comes without its LF."""
    verb, _, argument = line.removesuffix(b"\r").partition(b"\0")[0].partition(b" ")
    return verb.lower(), argument.lstrip(b" ")


class Lines:
    """Cuts what arrives into lines."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = b""

    def receive(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Verb and argument of every line that `data` completes.  Raises LineTooLong behind the last good one."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            if len(line) > LONGEST:
                raise LineTooLong
            yield split(line)
        if len(self._pending) > LONGEST:
            raise LineTooLong
