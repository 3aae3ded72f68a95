"""Lines of a log made into syslog messages.  splogger(8).

    alert: ...      priority alert          <sec>.<usec> alert: ...
    warning: ...    priority warning        <sec>.<usec> warning: ...
    other           priority info           <sec>.<usec> other
    and what is over 799 bytes, in pieces   <sec>.<usec>+rest           same stamp, same priority

Bytes that are not printable ASCII become question marks.  Empty lines are not logged, nor is the end of a last line
that lacks its newline: only whole lines are known to mean what they say."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE = 799  # syslogd's of old cut or crash at 1024
ALERT, WARNING, INFO = 1, 4, 6  # syslog(3)
_PRINTABLE = bytes(byte if 32 <= byte <= 126 else ord("?") for byte in range(256))


class SyslogLines:
    """Cuts a log into messages; holds at most one piece."""

    __slots__ = ("_continues", "_now", "_pending", "_priority", "_stamp")

    def __init__(self, now: Callable[[], int]) -> None:
        """`now()` is the time in nanoseconds since 1970, asked for once a line."""
        self._now = now
        self._pending = b""
        self._continues = False
        self._priority = INFO
        self._stamp = ""

    def receive(self, data: bytes) -> Iterator[tuple[int, str]]:
        """Priority and text of every message that `data` completes."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            yield from self._pieces(line)
            if self._pending:
                yield self._message(self._pending)
            self._pending = b""
            self._continues = False
        yield from self._pieces(rest)

    def _pieces(self, more: bytes) -> Iterator[tuple[int, str]]:
        """All pieces but the last, which stays pending: a newline may follow it."""
        text = self._pending + more
        start = 0
        while len(text) - start > PIECE:
            yield self._message(text[start : start + PIECE])
            start += PIECE
        self._pending = text[start:]

    def _message(self, piece: bytes) -> tuple[int, str]:
        text = piece.translate(_PRINTABLE).decode("ascii")
        if self._continues:
            return self._priority, f"{self._stamp}+{text}"
        seconds, nanoseconds = divmod(self._now(), 1_000_000_000)
        self._stamp = f"{seconds}.{nanoseconds // 1000:06d}"
        self._priority = ALERT if text.startswith("alert:") else WARNING if text.startswith("warning:") else INFO
        self._continues = True
        return self._priority, f"{self._stamp} {text}"
