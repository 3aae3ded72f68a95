"""MIME header fields: media type, parameters, and file names however they are written.  RFC 2045, 2047, 2231.

What senders write is often no MIME, and what hides something is never: everything here takes any bytes, costs time in
proportion to them, and finds what a forgiving mail reader would find.  Names come out as UTF-8."""

from __future__ import annotations

import binascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 4096  # bytes of a field that are looked at
WORD = 1024  # bytes of an encoded word; RFC 2047 2 allows 75
SECTIONS = 64  # pieces of one name; RFC 2231 3
_BLANKS = b" \t\r\n"


class Value:
    """A media type or a disposition: `word`, in small letters, and its parameters, names in small letters."""

    __slots__ = ("parameters", "word")

    def __init__(self, field: bytes) -> None:
        field = field[:LONGEST].translate(None, b"\r\n\0")
        word, _, rest = field.partition(b";")
        self.word = word.strip(_BLANKS).lower()
        self.parameters: dict[bytes, bytes] = {}
        for name, value in _parameters(rest):
            self.parameters.setdefault(name, value)

    def get(self, name: bytes) -> bytes:
        """A plain parameter as it stands; b"" if there is none."""
        return self.parameters.get(name, b"")

    def text(self, name: bytes) -> bytes:
        """A parameter that is text for people, decoded; b"" if there is none."""
        extended = self.parameters.get(name + b"*")
        if extended is not None:
            return _extended(extended)
        joined = self._joined(name) if any(found.startswith(name + b"*") for found in self.parameters) else b""
        return joined or words(self.get(name))

    def _joined(self, name: bytes) -> bytes:
        """The sections that there are: readers do not mind if one is missing."""
        charset, parts = b"", []
        for number in range(SECTIONS):
            plain = self.parameters.get(b"%b*%d" % (name, number))
            coded = self.parameters.get(b"%b*%d*" % (name, number))
            if plain is not None:
                parts.append(plain)
            elif coded is not None:
                if number == 0:
                    charset, coded = _charset(coded)
                parts.append(_percent(coded))
        return utf8(b"".join(parts), charset)


def _parameters(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """`; name=value; name="quoted value"`: yields names and values."""
    at = 0
    while at < len(text):
        equals = text.find(b"=", at)
        if equals < 0:
            return
        name = text[at:equals].rpartition(b";")[2].strip(_BLANKS).lower()
        at = equals + 1
        while text[at : at + 1] in (b" ", b"\t"):
            at += 1
        if text[at : at + 1] == b'"':
            value, at = _quoted(text, at + 1)
            end = text.find(b";", at)
        else:
            end = text.find(b";", at)
            value = text[at : end if end >= 0 else len(text)].strip(_BLANKS)
        yield name, value
        if end < 0:
            return
        at = end + 1


def _quoted(text: bytes, at: int) -> tuple[bytes, int]:
    """What stands between quotation marks, and where to go on.  A mark that never comes stands at the end."""
    end = at
    while end < len(text) and text[end] != 0x22:
        end += 2 if text[end] == 0x5C else 1
    value, slash = text[at:end], b"\\"
    if slash in value:
        parts = value.split(b"\\\\")
        value = slash.join(part.replace(slash, b"") for part in parts)
    return value, end + 1


def _charset(value: bytes) -> tuple[bytes, bytes]:
    charset, quote, rest = value.partition(b"'")
    if not quote or b"'" not in rest:
        return b"", value
    return charset, rest.partition(b"'")[2]


def _extended(value: bytes) -> bytes:
    charset, coded = _charset(value)
    return utf8(_percent(coded), charset)


def _percent(text: bytes) -> bytes:
    first, *rest = text.split(b"%")
    return first + b"".join([_hex(piece) for piece in rest])


def _hex(piece: bytes) -> bytes:
    try:
        return binascii.unhexlify(piece[:2]) + piece[2:]
    except ValueError:
        return b"%" + piece


def words(text: bytes) -> bytes:
    """Decode the encoded words of a text (`=?charset?B?...?=`), wherever they stand; the rest is left alone."""
    if b"=?" not in text:
        return text
    parts, at, coded = [], 0, False
    while (start := text.find(b"=?", at)) >= 0:
        charset, _, rest = text[start + 2 : start + 2 + WORD].partition(b"?")
        encoding, _, rest = rest.partition(b"?")
        stop = rest.find(b"?=")
        decoded = _word(charset, encoding, rest[:stop]) if stop >= 0 else None
        between = text[at:start]
        if decoded is None:
            parts.append(text[at : start + 2])
            at, coded = start + 2, False
            continue
        if not coded or between.strip(_BLANKS):
            parts.append(between)  # blanks between two encoded words are none.  RFC 2047 6.2
        parts.append(decoded)
        at, coded = start + 2 + len(charset) + 1 + len(encoding) + 1 + stop + 2, True
    parts.append(text[at:])
    return b"".join(parts)


def _word(charset: bytes, encoding: bytes, text: bytes) -> bytes | None:
    try:
        if encoding in (b"B", b"b"):
            data = binascii.a2b_base64(text + b"=" * (-len(text) % 4))
        elif encoding in (b"Q", b"q"):
            data = binascii.a2b_qp(text, header=True)
        else:
            return None
    except ValueError:
        return None
    return utf8(data, charset.partition(b"*")[0]) if data else None


_PLAIN = frozenset((b"", b"us-ascii", b"utf-8", b"utf8"))


def utf8(data: bytes, charset: bytes) -> bytes:
    """`data` in UTF-8; as it stands where its character set is unknown or the bytes are not of it."""
    if charset.lower() in _PLAIN:
        return data
    try:
        return data.decode(charset.decode("ascii")).encode("utf-8", "replace")
    except (LookupError, ValueError):
        return data
