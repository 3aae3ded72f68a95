"""Tables with aligned columns.  columnt(1).

Blanks and tabs separate fields.  All but those of the last column are set to the right, with two spaces behind."""

from __future__ import annotations

from itertools import zip_longest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Row = list[bytes]

AT_ONCE = 500  # lines, whose fields fit into a processor's cache


def align(text: bytes) -> bytes:
    """The same lines, aligned.  Widths are bytes."""
    if not text:
        return b""
    lines = text.removesuffix(b"\n").split(b"\n")
    widths: list[int] = []
    for rows in _rows(lines):
        block = [max(map(len, column)) for column in zip_longest(*rows, fillvalue=b"")]
        widths = [max(pair) for pair in zip_longest(widths, block, fillvalue=0)]
    widths[-1:] = [0]
    return b"".join([_block(rows, widths) for rows in _rows(lines)])


def _block(rows: list[Row], widths: list[int]) -> bytes:
    out: list[bytes] = []
    for row in rows:
        out += (b"  ".join(map(bytes.rjust, row, widths)), b"  \n" if 0 < len(row) < len(widths) else b"\n")
    return b"".join(out)


def _rows(lines: list[bytes]) -> Iterator[list[Row]]:
    for i in range(0, len(lines), AT_ONCE):
        yield [_fields(line) for line in lines[i : i + AT_ONCE]]


def _fields(line: bytes) -> Row:
    fields = line.replace(b"\t", b" ").split(b" ")
    return [field for field in fields if field] if b"" in fields else fields
