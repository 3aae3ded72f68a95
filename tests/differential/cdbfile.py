"""A constant database, written from its description: records that tcprules would never write, too."""

from __future__ import annotations

import struct
from collections.abc import Iterable


def _hash(key: bytes) -> int:
    h = 5381
    for byte in key:
        h = (h << 5) + h & 0xFFFFFFFF ^ byte
    return h


def build(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The file."""
    body, slots = b"", [[] for _ in range(256)]  # type: list[list[tuple[int, int]]]
    body = b""
    for key, data in records:
        h = _hash(key)
        slots[h & 255].append((h, 2048 + len(body)))
        body += struct.pack("<II", len(key), len(data)) + key + data
    head, tables = b"", b""
    for entries in slots:
        size = 2 * len(entries)
        head += struct.pack("<II", 2048 + len(body) + len(tables), size)
        table = [(0, 0)] * size
        for h, position in entries:
            at = (h >> 8) % size
            while table[at][1]:
                at = (at + 1) % size
            table[at] = (h, position)
        tables += b"".join(struct.pack("<II", *slot) for slot in table)
    return head + body + tables


def rules(*pairs: tuple[str, str]) -> bytes:
    """(address, "D", "+A=b" ... joined by spaces): a rules file as tcprules would write it."""
    return build((key.encode(), b"".join(s.encode() + b"\0" for s in data.split(" ") if s)) for key, data in pairs)
