"""One line of sendmail's alias, include and .forward files, as addresses.  newaliases(8), dot-forward(1).

The tokens are RFC 822's, the grammar is not: the line is read from its right end, where it needs no look-ahead.
Commas and mere blanks stand between addresses, colons and semicolons count as nothing; what stands left of `<` is a
phrase and is dropped; `:include:` makes a file's name of the address right of it.  No routes, no groups."""

from __future__ import annotations

from qmail.protocol import token822
from qmail.protocol.token822 import AT, ATOM, COLON, COMMA, COMMENT, DOT, LEFT, LITERAL, QUOTE, RIGHT, SEMI, Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmail.protocol.token822 import Token

_PHRASE = frozenset((COMMENT, ATOM, QUOTE, AT, DOT))  # what may stand directly left of <...>
_WORDS = frozenset((ATOM, QUOTE, LITERAL))


class Word:
    """An address, or whatever else a line has where an address may stand."""

    __slots__ = ("at", "include", "text")

    def __init__(self, tokens: list[Token], include: bool = False) -> None:
        """`tokens` in the order of the line.  `at`: has it an `@` that was not quoted?  Only then is it an address
        for certain, whatever it begins with."""
        self.text = token822.unquote(tokens)
        self.at = any(kind == AT for kind, _ in tokens)
        self.include = include


def words(line: bytes, includes: bool = True) -> Iterator[Word]:
    """The words of a line, the rightmost first.  Malformed comes after those right of the fault.

    `includes`: does `:include:` mean anything?"""
    todo = token822.parse(line)
    address: list[Token] = []  # backwards
    new = False  # a word met now begins the next address
    while todo:
        token = todo.pop()
        kind = token[0]
        if kind in (COMMENT, SEMI):
            continue
        if kind == COLON:
            if includes and _include(todo):
                yield Word(address[::-1], include=True)
                address = []
            continue
        if address and (kind in (COMMA, RIGHT) or (new and kind in _WORDS)):
            yield Word(address[::-1])
            address = []
        if kind == RIGHT:
            yield Word(_bracketed(todo))
            _phrase(todo)
        elif kind != COMMA:
            address.append(token)
        new = kind in _WORDS or kind == RIGHT
    if address:
        yield Word(address[::-1])


def lines(text: bytes) -> Iterator[bytes]:
    """The lines of a file with their newlines; the last may lack one."""
    at = 0
    while at < len(text):
        end = text.find(b"\n", at) + 1 or len(text)
        yield text[at:end]
        at = end


def _include(todo: list[Token]) -> bool:
    """Take `:include` from the end, if that is what stands there."""
    if [kind for kind, _ in todo[-2:]] != [COLON, ATOM] or todo[-1][1] != b"include":
        return False
    del todo[-2:]
    return True


def _bracketed(todo: list[Token]) -> list[Token]:
    """Take the address from the end; up to the start if there is no `<`, which is then complained of."""
    address: list[Token] = []
    while todo and todo[-1][0] != LEFT:
        token = todo.pop()
        if token[0] != COMMENT:
            address.append(token)
    return address[::-1]


def _phrase(todo: list[Token]) -> None:
    """Take `phrase <` from the end."""
    if not todo:
        raise Malformed("`>` without `<`")
    todo.pop()
    while todo and todo[-1][0] in _PHRASE:
        todo.pop()
