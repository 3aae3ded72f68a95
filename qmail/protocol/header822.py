"""The header of a message, field by field, and where its body begins.  RFC 822 section 3.1, qmail-inject(8).

A field is one line and the lines after it that start with a blank, newlines and all.  The header ends with an empty
line, or before the first line that can be no field: then an empty line is put between."""

from __future__ import annotations

# A field's name: printable, without colon.  ASCII 33 to 126.
_NAME = bytes(byte for byte in range(33, 127) if byte != 0x3A)
_FROM_LINE = b"From "  # of an mbox
_MBOX_LINE = b"MBOX-Line: "


def field_name(field: bytes) -> bytes:
    """The field's name in small letters, without the blanks that some put before the colon; b"" if it is no field."""
    name, colon, _ = field.partition(b":")
    name = name.rstrip(b" \t")
    if not colon or name.translate(None, _NAME):
        return b""
    return name.lower()


class HeaderReader:
    """Takes the message in pieces of any size and gives its header fields, each as soon as its end is certain.

    When `body` is no longer None the header is over, and it holds the start of the body, including the empty line; the
    caller passes on what follows by itself.  No end of line is needed: finish() makes the missing one."""

    __slots__ = ("_field", "_pending", "body")

    def __init__(self) -> None:
        self.body: bytes | None = None
        self._field: list[bytes] = []  # lines of the field that may go on
        self._pending: list[bytes] = []  # pieces of the line whose end has not come

    def receive(self, data: bytes) -> list[bytes]:
        """Fields completed by `data`."""
        if b"\n" not in data:
            self._pending.append(data)
            return []
        self._pending.append(data)
        data = b"".join(self._pending)
        fields: list[bytes] = []
        start = 0
        while stop := data.find(b"\n", start) + 1:
            if self._line(data[start:stop], fields):
                self.body = self.body or b""
                self.body += data[stop:]
                return fields
            start = stop
        self._pending = [data[start:]]
        return fields

    def finish(self) -> list[bytes]:
        """Fields completed by the end of the message."""
        fields: list[bytes] = []
        last = b"".join(self._pending)
        if self.body is None and not (last and self._line(last + b"\n", fields)):
            self._end_field(fields)
        return fields

    def _line(self, line: bytes, fields: list[bytes]) -> bool:
        """Takes one line with its newline; True when the header is over."""
        if self._field and line[0] in b" \t":
            self._field.append(line)
            return False
        self._end_field(fields)
        if line == b"\n":
            self.body = line
        elif line.startswith(_FROM_LINE):
            self._field = [_MBOX_LINE + line]
        elif field_name(line):
            self._field = [line]
        else:
            self.body = b"\n" + line
        return self.body is not None

    def _end_field(self, fields: list[bytes]) -> None:
        if self._field:
            fields.append(b"".join(self._field))
            self._field = []
