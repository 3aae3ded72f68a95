"""A message taken apart while it comes: header fields, parts, their types, names and sizes.  RFC 2045-2047, 2231, 5322.

    walker = Walker()
    walker.feed(block)                as often as there is something, in blocks of any size
    walker.end()
    walker.fields, walker.parts, walker.troubles

Any bytes at all are a message.  Time is in proportion to them, memory is bounded (see the constants), and whatever
exceeds a bound is named in `troubles`, so that nothing escapes by being too much.  Where senders break the rules, what
a forgiving mail reader would see is looked at."""

from __future__ import annotations

from qmail.scanner import decoding, zipnames
from qmail.scanner.mimefields import Value, words

PARTS = 1000  # in one message
DEPTH = 50  # of multiparts and messages in each other
HEADER = 256 * 1024  # bytes of one header
LINE = 1000  # bytes of a line that may be a boundary; RFC 2046 5.1.1 allows 72
PIECE = 4096  # bytes of a header line that are waited for
FIELDS = 8  # Content-* fields that are kept of a part, and
FIELD = 512  # how many bytes of each
NAME = 1024  # bytes of a name
MESSAGES = frozenset((b"message/rfc822", b"message/global", b"message/news"))  # have a message inside
ARCHIVED = 4 << 20  # bytes that the names in all its archives may take

TOO_MANY, TOO_DEEP, TOO_LONG, BAD_BYTES, TOO_FULL = "parts", "depth", "header", "characters", "names"


class Part:
    """A part that is no multipart."""

    __slots__ = ("archive", "fields", "names", "size", "type", "uuencoded")

    def __init__(self, fields: list[tuple[bytes, bytes]], kind: bytes, names: list[bytes]) -> None:
        self.fields = fields  # its Content-* fields: name in small letters, value
        self.type = kind
        self.names = names  # what readers may call it; they differ in where they look first
        self.size = 0  # decoded
        self.archive: zipnames.Archive | None = None
        self.uuencoded: list[bytes] = []

    @property
    def name(self) -> bytes:
        """The name to show; b"" if it has none."""
        return self.names[0] if self.names else b""


class Walker(decoding.Inner):
    """Walks through one message."""

    __slots__ = (
        "_boundaries",
        "_budget",
        "_content",
        "_depth",
        "_digest",
        "_header",
        "_header_size",
        "_in_header",
        "_line_start",
        "_open",
        "_part",
        "_pending",
        "_seen_header",
        "_stopped",
        "fields",
        "parts",
        "troubles",
    )

    def __init__(self, outer: Walker | None = None) -> None:
        """`outer` is the walker that has come upon this message, encoded as an attachment: its bounds hold for both."""
        self.fields: list[tuple[bytes, bytes]] = []  # of the message itself: name in small letters, value
        self.parts: list[Part] = outer.parts if outer else []
        self.troubles: set[str] = outer.troubles if outer else set()
        self._depth: int = outer._depth + len(outer._open) + 1 if outer else 0  # of this message in others
        self._budget: zipnames.Budget = outer._budget if outer else zipnames.Budget(ARCHIVED)
        self._open: list[tuple[bytes, bool]] = []  # boundary (b"" for a message inside), and if it is a digest
        self._boundaries: dict[bytes, int] = {}  # boundary -> place in _open
        self._seen_header = False
        self._in_header = True
        self._header: list[list[bytes]] = []  # fields, each in lines
        self._header_size = 0
        self._digest = False
        self._part: Part | None = None
        self._content: decoding.Content | None = None
        self._pending = b""
        self._line_start = True
        self._stopped = False

    def feed(self, data: bytes) -> None:
        """The next bytes of the message."""
        data = self._pending + data if self._pending else data
        at = 0
        while at < len(data) and not self._stopped:
            # A body without boundaries to look for is the usual end of a message: it goes through in one piece.
            step = self._header_line(data, at) if self._in_header else self._body(data, at)
            if step == at:
                break
            at = step
        self._pending = b"" if self._stopped else data[at:]

    def end(self) -> None:
        """The message is over, whatever was still to come."""
        rest, self._pending = self._pending, b""
        if not self._stopped:
            if self._in_header:
                if rest:
                    self._add_header(rest, self._line_start)
                self._end_header()
            elif rest and not self._boundary(rest):
                self._data(rest)
        self._end_part()
        self._stopped = True

    # --- headers

    def _header_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1
        if not end:
            if len(data) - at <= PIECE:
                return at
            end = len(data)
        line, starts = data[at:end], self._line_start
        self._line_start = line.endswith(b"\n")
        if starts and line in (b"\n", b"\r\n"):
            self._end_header()
        elif starts and line.startswith(b"--") and (b":" not in line or self._place(line) is not None):
            self._end_header()  # without an empty line
            if not self._stopped and not self._boundary(line):
                self._data(line)
        else:
            self._add_header(line, starts)
        return end

    def _add_header(self, line: bytes, starts: bool) -> None:
        if b"\0" in line or b"\r" in line.removesuffix(b"\r\n"):
            self.troubles.add(BAD_BYTES)
        if self._header_size + len(line) > HEADER:
            self._end_header()  # what there is counts
            return self._stop(TOO_LONG)
        self._header_size += len(line)
        if self._header and (not starts or line[:1] in (b" ", b"\t")):
            self._header[-1].append(line)
        else:
            self._header.append([line])

    def _end_header(self) -> None:
        fields = []
        for lines in self._header:
            name, colon, value = b"".join(lines).partition(b":")
            if colon:
                fields.append((name.strip().lower(), value.strip()))
        self._header, self._header_size = [], 0
        if not self._seen_header:
            self._seen_header = True
            self.fields = fields
        self._in_header = False
        self._line_start = True
        self._begin(fields)

    def _begin(self, fields: list[tuple[bytes, bytes]]) -> None:
        """A header is complete: what does it announce?"""
        own = [(name, value) for name, value in fields if name.startswith(b"content-")]
        kinds = _values(own, b"content-type") or [Value(b"message/rfc822" if self._digest else b"text/plain")]
        for kind in kinds:
            boundary = (kind.get(b"boundary") or kind.text(b"boundary")).rstrip()
            if kind.word.startswith(b"multipart/") and boundary:
                self._enter(boundary, kind.word == b"multipart/digest")
                return
        if len(self.parts) >= PARTS:
            return self._stop(TOO_MANY)
        kind, names = kinds[0], _names(kinds, _values(own, b"content-disposition"))
        self._part = Part([(name, value[:FIELD]) for name, value in own[:FIELDS]], kind.word[:FIELD], names)
        self.parts.append(self._part)
        encoding = _encoding(_values(own, b"content-transfer-encoding"))
        is_message = kind.word in MESSAGES or _is_first_piece(kind)
        if is_message and encoding not in (b"base64", b"quoted-printable"):
            self._enter(b"", False)
            self._in_header = True
            return
        self._content = decoding.content(encoding, self._budget)
        if is_message:
            self._descend(self._content)

    def _descend(self, content: decoding.Content) -> None:
        """A message that is encoded, against RFC 2046 5.2.1, which some readers show all the same."""
        if self._depth + len(self._open) >= DEPTH:
            return self._stop(TOO_DEEP)
        content.inner = Walker(self)

    def _enter(self, boundary: bytes, digest: bool) -> None:
        if self._depth + len(self._open) >= DEPTH:
            return self._stop(TOO_DEEP)
        if boundary:
            self._boundaries[boundary] = len(self._open)
        self._open.append((boundary, digest))
        self._digest = False

    def _stop(self, trouble: str) -> None:
        self.troubles.add(trouble)
        self._stopped = True

    # --- bodies

    def _body(self, data: bytes, at: int) -> int:
        """Take body bytes from `at`; return how far it got."""
        if not self._boundaries:
            self._data(data[at:])
            return len(data)
        start = at if self._line_start and data.startswith(b"--", at) else _dashes(data, at)
        line, complete = b"", False
        while start >= 0:
            end = data.find(b"\n", start) + 1
            line, complete = data[start : end or start + LINE], end > 0 or len(data) - start > LINE
            if not complete or self._place(line) is not None:
                break
            start = _dashes(data, start)
        if start < 0:
            return self._text(data, at)
        stop = max(at, start - 1)  # the newline in front of a boundary is its own
        self._data(data[at:stop])
        self._line_start = start == at
        return start + len(line) if complete and self._boundary(line) else stop

    def _text(self, data: bytes, at: int) -> int:
        """The same, without a boundary in it."""
        if self._line_start and data[at:] == b"-":
            return at
        # The last newline may belong to a boundary, and so may what follows it.
        keep = 2 if data.endswith(b"\n-") else 1 if data.endswith(b"\n") else 0
        stop = max(at, len(data) - keep)
        self._data(data[at:stop])
        self._line_start = self._line_start and stop == at
        return stop

    def _boundary(self, line: bytes) -> bool:
        """Is it one?  Then what it ends is ended, and what it begins has begun."""
        place = self._place(line)
        if place is None:
            return False
        closing = self._boundaries.get(_word(line)) != place
        self._end_part()
        self._leave(place if closing else place + 1)
        self._in_header = not closing
        self._line_start = True
        self._digest = not closing and self._open[place][1]
        return True

    def _place(self, line: bytes) -> int | None:
        """Which of the open multiparts a line is a boundary of."""
        if not self._boundaries or not line.startswith(b"--"):
            return None
        word = _word(line)
        place = self._boundaries.get(word)
        return self._boundaries.get(word[:-2]) if place is None and word.endswith(b"--") else place

    def _leave(self, depth: int) -> None:
        for boundary, _ in self._open[depth:]:
            self._boundaries.pop(boundary, None)
        del self._open[depth:]
        # A boundary used twice means its outer place again.
        for place, (boundary, _) in enumerate(self._open):
            if boundary:
                self._boundaries[boundary] = place

    def _data(self, data: bytes) -> None:
        if self._content is not None and data:
            self._content.feed(data)

    def _end_part(self) -> None:
        content, self._content = self._content, None
        if content is not None and self._part is not None:
            content.end()
            self._part.size = content.size
            self._part.archive = content.archive
            self._part.uuencoded = content.uuencoded
            if self._budget.left < 0:
                self.troubles.add(TOO_FULL)
        self._part = None


def _dashes(data: bytes, at: int) -> int:
    """Where the next line begins that has two of them in front; -1 if none does."""
    found = data.find(b"\n--", at)
    return found + 1 if found >= 0 else -1


def _word(line: bytes) -> bytes:
    return line[2:].rstrip(b" \t\r\n")


def _values(fields: list[tuple[bytes, bytes]], name: bytes) -> list[Value]:
    """The fields of that name.  There should be one, and readers differ in which of several they believe."""
    return [Value(value) for found, value in fields if found == name][:FIELDS]


def _is_first_piece(kind: Value) -> bool:
    """Does a message that was cut into pieces begin here?  RFC 2046 5.2.2."""
    return kind.word == b"message/partial" and kind.get(b"number").lstrip(b"0") in (b"", b"1")


def _encoding(fields: list[Value]) -> bytes:
    """The first one that is to be undone; `base64 (so they say)` is one."""
    said = [field.word.replace(b"(", b" ").split() for field in fields]
    found = [words[0].strip(b'"') for words in said if words]
    return next((word for word in found if word in (b"base64", b"quoted-printable")), b"")


def _names(kinds: list[Value], dispositions: list[Value]) -> list[bytes]:
    names: dict[bytes, None] = {}
    for first, second in ((b"filename", b"name"), (b"name", b"filename")):  # where they belong, and where they do not
        said = [(value, first) for value in dispositions] + [(value, second) for value in kinds]
        for value, word in said:
            names.update(dict.fromkeys((value.text(word)[:NAME].strip(), words(value.get(word))[:NAME].strip())))
    names.pop(b"", None)
    return list(names)
