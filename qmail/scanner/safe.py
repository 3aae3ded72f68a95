"""Text from strangers made fit for a log, a header or a terminal: nothing in it can begin a line or an escape."""

from __future__ import annotations

_VISIBLE = bytes(byte if 32 <= byte <= 126 else 32 if byte in b"\t\n\r\v\f" else 0x3F for byte in range(256))


def text(value: bytes, limit: int = 1000) -> bytes:
    """For people: printable ASCII; white space becomes blanks, any other byte a question mark."""
    return b" ".join(value[:limit].translate(_VISIBLE).split())


def word(value: bytes, limit: int = 1000) -> bytes:
    """For a field between blanks: as text, with underscores for blanks."""
    return text(value, limit).replace(b" ", b"_")
