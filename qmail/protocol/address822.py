"""Address lists in header fields: found, rewritten, put back.  RFC 822 section 6.1, qmail-header(5).

A list is read from its right end, where it needs no look-ahead: what stands left of `<` is a phrase, what stands left
of the `:` that belongs to a `;` is a group's name.  Beyond RFC 822, and as in qmail-inject: two words with nothing
but blanks between them are two addresses, and the missing comma is put in."""

from __future__ import annotations

from qmail.protocol.token822 import AT, ATOM, COLON, COMMA, COMMENT, DOT, LEFT, LITERAL, QUOTE, RIGHT, SEMI, Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmail.protocol.token822 import Token

    Address = list[Token]  # in the order of the text; comments may be among it
    Rewrite = Callable[[Address], Address]

_PHRASE = frozenset((COMMENT, ATOM, QUOTE, AT, DOT))  # what may stand directly left of <...>
_COMMA: Token = (COMMA, b"")


def rewrite_list(tokens: list[Token], rewrite: Rewrite) -> list[Token]:
    """The field `name : address-list` with every address replaced by what `rewrite` returns for it.

    `rewrite` sees the last address first.  Malformed comes after the addresses right of the fault were shown to it."""
    reading = _List(tokens[2:], rewrite)
    reading.run()
    return tokens[:2] + reading.done[::-1]


class _List:
    """One list, read from right to left; `todo`'s end is where we are, `done` and `address` grow to the left."""

    __slots__ = ("address", "done", "grouped", "rewrite", "todo", "wordok")

    def __init__(self, todo: list[Token], rewrite: Rewrite) -> None:
        self.todo, self.rewrite = todo, rewrite
        self.done: list[Token] = []
        self.address: list[Token] = []
        self.grouped = False  # between a `;` and its `:`
        self.wordok = True  # a word met now belongs to the address right of it

    def run(self) -> None:
        while self.todo:
            token = self.todo.pop()
            kind = token[0]
            if kind in (ATOM, QUOTE, LITERAL):
                self._word(token)
            elif kind == COMMENT:
                self.done.append(token)  # a blank to the grammar; comes to stand behind the address it is in
            elif kind == COMMA:
                self._flush()
                self.done.append(token)
                self.wordok = True
            elif kind == RIGHT:
                self._route(token)
            elif kind == SEMI:
                self._flush_comma()
                self._enter(True)
                self.done.append(token)
            elif kind == COLON:
                self._flush()
                self._enter(False)
                self._name(token)
            else:  # @ . or a < without its >
                self.address.append(token)
                self.wordok = True
        self._flush()

    def _flush(self) -> None:
        if self.address:
            self._address()

    def _flush_comma(self) -> None:
        if self.address:
            self._address()
            self.done.append(_COMMA)

    def _address(self) -> None:
        rewritten = self.rewrite(self.address[::-1])
        self.done += rewritten[::-1]
        self.address = []

    def _word(self, token: Token) -> None:
        if not self.wordok:
            self._flush_comma()
        self.wordok = False
        self.address.append(token)

    def _enter(self, grouped: bool) -> None:
        if self.grouped == grouped:
            raise Malformed("`:` and `;` do not match")
        self.grouped = grouped
        self.wordok = True

    def _name(self, token: Token) -> None:
        """A group's name: all up to the comma that ends the address before it, whatever it is made of."""
        self.done.append(token)
        while self.todo:
            token = self.todo.pop()
            self.done.append(token)
            if token[0] == COMMA:
                break

    def _route(self, token: Token) -> None:
        """<address> and the phrase left of it."""
        self._flush_comma()
        self.done.append(token)
        while self.todo and self.todo[-1][0] != LEFT:
            self.address.append(self.todo.pop())
        self._address()  # the empty one too
        if not self.todo:
            raise Malformed("`>` without `<`")
        self.done.append(self.todo.pop())
        while self.todo and self.todo[-1][0] in _PHRASE:
            self.done.append(self.todo.pop())
        self.wordok = False


class Rewriting:
    """What qmail-inject makes of an address before it believes in it.  The three names are token lists of control
    files' contents, each with its joining `@` or `.` in front."""

    __slots__ = ("defaultdomain", "defaulthost", "plusdomain")

    def __init__(self, defaulthost: list[Token], defaultdomain: list[Token], plusdomain: list[Token]) -> None:
        self.defaulthost, self.defaultdomain, self.plusdomain = defaulthost, defaultdomain, plusdomain

    def __call__(self, address: Address) -> Address:
        if address[-2:] == [(AT, b""), (LITERAL, b"")]:  # user@[] is a VERP mark
            return address
        address = _without_route(address)
        for kind in (DOT, AT):  # one of each, in this order
            if address and address[-1][0] == kind:
                address = address[:-1]
        if not address:
            return address
        if all(kind != AT for kind, _ in address):
            address = address + self.defaulthost
        kind, text = address[-1]
        if kind == ATOM and text.endswith(b"+"):
            address = [*address[:-1], (ATOM, text[:-1]), *self.plusdomain]
        return address if _qualified(address) else address + self.defaultdomain


def _without_route(address: Address) -> Address:
    if not address or address[0][0] != AT:
        return address
    for place, (kind, _) in enumerate(address):
        if kind == COLON:
            return address[place + 1 :]
    return []


def _qualified(address: Address) -> bool:
    """Has the host (what follows the last `@`) a dot, or is it a literal?"""
    for kind, _ in reversed(address):
        if kind == AT:
            return False
        if kind in (DOT, LITERAL):
            return True
    return False
