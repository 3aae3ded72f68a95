"""Tables with aligned columns.  columnt(1).

Blanks and tabs separate fields.  All but those of the last column are set to the right, with two spaces behind."""

from __future__ import annotations


def align(text: bytes) -> bytes:
    """The same lines, aligned.  Widths are bytes."""
    if not text:
        return b""
    lines = [_fields(line) for line in text.removesuffix(b"\n").split(b"\n")]
    last = max(map(len, lines)) - 1
    widths = [max(len(line[i]) if i < len(line) else 0 for line in lines) for i in range(last)]
    out: list[bytes] = []
    for line in lines:
        out += [b"%b  " % field.rjust(width) for field, width in zip(line, widths, strict=False)]
        out += line[last : last + 1] if last >= 0 else []
        out.append(b"\n")
    return b"".join(out)


def _fields(line: bytes) -> list[bytes]:
    return [field for field in line.replace(b"\t", b" ").split(b" ") if field]
