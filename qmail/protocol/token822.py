"""Tokens of a structured header field: taken apart and printed again.  RFC 822 section 3.3, qmail-header(5).

A token is (kind, text).  The specials . , @ < > : ; are their own kind and have no text; the text of a word stands
without its quotes, brackets, parentheses and backslashes.  Two wanted looseness as in qmail-inject: a blank ends a
word and means nothing else, and a byte that RFC 822 does not allow in an atom only makes the word a quoted string."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Token = tuple[bytes, bytes]

DOT, COMMA, AT, LEFT, RIGHT, COLON, SEMI = b".", b",", b"@", b"<", b">", b":", b";"
ATOM, QUOTE, LITERAL, COMMENT = b"a", b'"', b"[", b"("

WIDTH = 78  # columns a printed line may fill; RFC 5322 2.1.1 recommends the same

_SPECIALS: dict[bytes, Token] = {kind: (kind, b"") for kind in (DOT, COMMA, AT, LEFT, RIGHT, COLON, SEMI)}
_WORDS = frozenset((ATOM, QUOTE, LITERAL, COMMENT))
_BRACKETS = {QUOTE: (b'"', b'"'), LITERAL: (b"[", b"]"), COMMENT: (b"(", b")"), ATOM: (b"", b"")}
_BLANKS = b" \t\r\n"
_ESCAPED = b'\\"[]()\r\n'  # the backslash first: those that stand for the others are not to be doubled
_IN_ATOM = bytes(byte for byte in range(32, 127) if byte not in b")]\\")  # any other byte wants quotes


def _marks(stops: bytes) -> bytes:
    """Translation that leaves 1 where a stop stands and 0 elsewhere: a search for 1 then runs at C speed."""
    return bytes(byte in stops for byte in range(256))


_ATOM_MARKS = _marks(_BLANKS + b'([".,@<>:;\\')
_CLOSE_MARKS = {COMMENT: _marks(b"()\\"), QUOTE: _marks(b'"\\'), LITERAL: _marks(b"]\\")}


class Malformed(Exception):
    """The field cannot be read: an open comment, quote or bracket, or brackets in disorder."""


def parse(field: bytes) -> list[Token]:
    """The tokens of `field`, in order.  Linear in its length, whatever it holds."""
    tokens: list[Token] = []
    atom_marks = field.translate(_ATOM_MARKS)
    close_marks: dict[bytes, bytes] = {}
    at, end = 0, len(field)
    while at < end:
        byte = field[at : at + 1]
        if byte in _BLANKS:
            at += 1
        elif byte in _SPECIALS:
            tokens.append(_SPECIALS[byte])
            at += 1
        elif byte in _CLOSE_MARKS:
            marks = close_marks.get(byte)
            if marks is None:
                marks = close_marks[byte] = field.translate(_CLOSE_MARKS[byte])
            text, at = _enclosed(field, marks, at + 1)
            tokens.append((byte, text))
        elif byte in b")]":
            raise Malformed("closing bracket where a word should start")
        else:
            text, at = _atom(field, atom_marks, at)
            tokens.append((QUOTE if text.translate(None, _IN_ATOM) else ATOM, text))
    return tokens


def _atom(field: bytes, marks: bytes, at: int) -> tuple[bytes, int]:
    """The word that starts at `at`, and where it ends."""
    pieces = []
    while True:
        stop = marks.find(1, at)
        if stop < 0:
            stop = len(field)
        pieces.append(field[at:stop])
        if field[stop : stop + 1] != b"\\":
            return b"".join(pieces), stop
        pieces.append(field[stop + 1 : stop + 2])
        at = stop + 2


def _enclosed(field: bytes, marks: bytes, at: int) -> tuple[bytes, int]:
    """The text of a comment, quoted string or literal from `at`, and where the next token may start."""
    pieces = []
    level = 1
    while level:
        stop = marks.find(1, at)
        if stop < 0:
            raise Malformed("comment, quoted string or literal without end")
        pieces.append(field[at:stop])
        byte = field[stop : stop + 1]
        at = stop + 1
        if byte == b"\\":
            if at == len(field):
                raise Malformed("backslash at the end")
            pieces.append(field[at : at + 1])
            at += 1
        elif byte == b"(":  # marked in comments only
            level += 1
        else:
            level -= 1
    return b"".join(pieces), at


def unquote(tokens: Iterable[Token]) -> bytes:
    """The address that the tokens mean, as it stands in an envelope: no quotes, no comments."""
    pieces = []
    for kind, text in tokens:
        if kind in (ATOM, QUOTE):
            pieces.append(text)
        elif kind == LITERAL:
            pieces.append(b"[%b]" % text)
        elif kind != COMMENT:
            pieces.append(kind)
    return b"".join(pieces)


def unparse(tokens: Sequence[Token]) -> bytes:
    """The tokens as a header field with its newline, folded after commas where a line would pass WIDTH columns."""
    chunks: list[bytes] = []  # each ends behind a comma, the last at the end
    chunk: list[bytes] = []
    before = b""
    for kind, text in tokens:
        if _spaced(before, kind):
            chunk.append(b" ")
        before = kind
        if kind in _WORDS:
            opening, closing = _BRACKETS[kind]
            chunk += (opening, _escape(text), closing)
        else:
            chunk.append(kind)
            if kind == COMMA:
                chunks.append(b"".join(chunk))
                chunk = []
    chunks.append(b"".join(chunk))
    return _fold(chunks)


def _spaced(before: bytes, kind: bytes) -> bool:
    if before in (COLON, COMMA):
        return True
    return before != b"" and (kind == LEFT or (before in _WORDS and kind in _WORDS))


def _escape(text: bytes) -> bytes:
    if len(text.translate(None, _ESCAPED)) != len(text):
        for byte in _ESCAPED:
            text = text.replace(b"%c" % byte, b"\\%c" % byte)
    return text


def _fold(chunks: Sequence[bytes]) -> bytes:
    folded = [chunks[0]]
    column = len(chunks[0])
    for chunk in chunks[1:]:
        if column + len(chunk) <= WIDTH:
            column += len(chunk)
        else:
            folded.append(b"\n ")  # and the blank that follows every comma makes it two
            column = 1 + len(chunk)
        folded.append(chunk)
    folded.append(b"\n")
    return b"".join(folded)
