"""What matchup wrote, read again: columns of those fields that a report asks for.  matchup(1) shows the lines.

The lines of one kind in a block are taken all at once if matchup wrote them and their stamps have one form, so that
all that is in front of the other fields is of one width.  If not, each is looked at by itself.  Whatever begins with d
or m counts, because it does in the original: its fields are split at blanks, and a number is what awk takes for one."""

from __future__ import annotations

import re

from qmail.analog.core import awk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    # One field of all lines: seconds as floats, counts as integers, everything else as text.
    Column = Sequence[Any]

_KIND, _STAMP, _COUNT, _WORD, _LAST = r"[kdz]", r"[0-9]+\.[0-9]+", r"[0-9]+", r"[^ \t\n]+", r"[^ \t\n]*"
DELIVERY = (_KIND, _STAMP, _STAMP, _STAMP, _COUNT, _WORD, _WORD, _WORD, _WORD, _LAST)
MESSAGE = (_STAMP, _STAMP, _COUNT, _COUNT, _COUNT, _COUNT, _WORD, _WORD, _WORD)
_SHAPE = str.maketrans("123456789dz", "000000000kk")
_NO_DIGITS = b".dkzm"
_SMALL = {str(n): n for n in range(100)}  # what most counts of recipients are
FIELDS = 11


class Lines:
    """The lines of one kind, whose fields are `fields`; those that are `wanted` by awk's numbers, 2 is the first."""

    __slots__ = ("_fields", "_front", "_pattern", "_stamps", "_wanted", "odd")

    def __init__(self, letter: str, fields: Sequence[str], wanted: Sequence[int]) -> None:
        self._fields = ("", letter, *fields)
        self._wanted = wanted
        self._stamps = [i for i, field in enumerate(self._fields) if field is _STAMP]
        self._front = re.compile(" ".join(self._fields[1 : self._stamps[-1] + 1]) + " ")
        groups = (f"({field})" for field in self._fields[2 : max(wanted, default=0) + 1])
        self._pattern = re.compile(" ".join((letter, *groups)) + r"(?:[ \t]|\Z)")
        self.odd = 0  # lines that matchup did not write

    def columns(self, lines: list[str]) -> list[Column]:
        """A column for each field that is wanted."""
        columns = self.together(lines)
        return [list(column) for column in zip(*map(self._row, lines), strict=True)] if columns is None else columns

    def together(self, lines: list[str]) -> list[Column] | None:
        """The same at once, or None if a line may be different."""
        if not lines or not self._wanted:
            return [[] for _ in self._wanted]
        front = self._front.match(lines[0])
        if front is None:
            return None
        width = front.end()
        fronts = "".join([line[:width] for line in lines])
        if fronts.translate(_SHAPE) != front[0].translate(_SHAPE) * len(lines):
            return None
        known: dict[int, Column] = {}
        try:
            if any(i in self._wanted for i in self._stamps):
                self._seconds(fronts, front[0], known)
            if known.keys() | {2} < {2, *self._wanted}:
                self._others([line[width:] for line in lines], known)
        except (ValueError, OverflowError):
            return None
        return [fronts[2::width] if self._fields[i] is _KIND else known[i] for i in self._wanted]

    def _seconds(self, fronts: str, front: str, known: dict[int, Column]) -> None:
        """Add the stamps.  Whole numbers divided: exactly what float() gives, at half the price."""
        words = fronts.encode().translate(None, _NO_DIGITS).decode().split()
        for at, i in enumerate(self._stamps):
            if i in self._wanted:
                unit = 10 ** len(front.split()[i - 1].partition(".")[2])
                known[i] = [n / unit for n in map(int, words[at :: len(self._stamps)])]

    def _others(self, rests: list[str], known: dict[int, Column]) -> None:
        """Add what is behind the stamps.  ValueError if a line has other fields than it should."""
        first = self._stamps[-1] + 1
        count = len(self._fields) - first
        text = " \n ".join(rests)
        words = text.split(" ")
        ends = words[count :: count + 1]
        if (
            len(words) != len(rests) * (count + 1) - 1
            or ends != ["\n"] * len(ends)
            or "\t" in text
            or f" {text} ".rfind("  ") >= 0  # half the price of `in`
        ):
            raise ValueError
        for i in self._wanted:
            if i >= first:
                column: Column = words[i - first :: count + 1]
                known[i] = _counts(column) if self._fields[i] is _COUNT else column

    def _row(self, line: str) -> list[Any]:
        """The fields of a line that may be anything."""
        found = self._pattern.match(line)
        words = ["", line[0], *(found.groups() if found else _words(line))]
        self.odd += found is None
        return [_VALUES.get(self._fields[i], str)(words[i]) for i in self._wanted]


def _words(line: str) -> list[str]:
    """The fields from the second on, as awk would have them."""
    words = [word for word in re.split(r"[ \t]+", line) if word][1:]
    if line.startswith(("d k", "d d", "d z")):
        words[0] = line[2]
    return words + [""] * (FIELDS - len(words))


def _counts(words: Column) -> Column:
    """ValueError if one is anything but digits."""
    try:
        return [_SMALL[word] for word in words]
    except KeyError:
        if not "".join(words).isdecimal():
            raise ValueError from None
        return list(map(int, words))


def _whole(word: str) -> int:
    try:
        return int(word if word.isdecimal() else awk.number(word))
    except (ValueError, OverflowError):  # thousands of digits
        return 0


_VALUES: dict[str, Callable[[str], object]] = {_STAMP: awk.number, _COUNT: _whole}


class Records:
    """Blocks of matchup's output in, columns of deliveries and of messages out."""

    __slots__ = ("_deliveries", "_messages", "_rest")

    def __init__(self, deliveries: Sequence[int], messages: Sequence[int]) -> None:
        """The fields that are wanted, by awk's numbers."""
        self._deliveries = Lines("d", DELIVERY, deliveries)
        self._messages = Lines("m", MESSAGE, messages)
        self._rest: list[bytes] = []

    @property
    def odd(self) -> int:
        """Lines that matchup did not write."""
        return self._deliveries.odd + self._messages.odd

    def receive(self, data: bytes) -> tuple[list[Column], list[Column]]:
        """Columns of the lines that `data` completes."""
        cut = data.rfind(b"\n")
        if cut < 0:
            self._rest.append(data)
            return self._columns(b"")
        self._rest.append(data[:cut])
        block = b"".join(self._rest)
        self._rest = [data[cut + 1 :]]
        return self._columns(block)

    def end(self) -> tuple[list[Column], list[Column]]:
        """Columns of a last line without newline."""
        rest, self._rest = b"".join(self._rest), []
        return self._columns(rest)

    def _columns(self, block: bytes) -> tuple[list[Column], list[Column]]:
        lines = block.decode("latin-1").split("\n")
        if "" in lines:
            lines = [line for line in lines if line]
        return (
            self._deliveries.columns([line for line in lines if line[0] == "d"]),
            self._messages.columns([line for line in lines if line[0] == "m"]),
        )
