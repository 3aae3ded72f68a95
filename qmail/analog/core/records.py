"""What matchup wrote, read again: rows of those fields that a report asks for.  matchup(1) shows the lines.

One compiled scan a block takes the lines as matchup writes them.  Others that begin with d or m count as well, because
they do in the original: their fields are split at blanks, and a number is what awk takes for one."""

from __future__ import annotations

import re

from qmail.analog.core import awk
from ucspi.core import streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Row = tuple[str, ...]

_STAMP, _COUNT, _WORD = r"[0-9]+\.[0-9]+", r"[0-9]+", r"[^ \t\n]+"
_DELIVERY = (r"[kdz]", _STAMP, _STAMP, _STAMP, _COUNT, _WORD, _WORD, _WORD, _WORD, r"[^ \t\n]*")
_MESSAGE = (_STAMP, _STAMP, _COUNT, _COUNT, _COUNT, _COUNT, _WORD, _WORD, _WORD)
_ODD = re.compile(r"\n[dm].*")
FIELDS = 11


class Records:
    """The fields of deliveries and of messages that are wanted, by awk's numbers: 2 is the second."""

    __slots__ = ("_deliveries", "_messages", "_rest", "_wanted", "odd")

    def __init__(self, deliveries: Sequence[int], messages: Sequence[int]) -> None:
        self._wanted = {"d": (_DELIVERY, tuple(deliveries)), "m": (_MESSAGE, tuple(messages))}
        self._deliveries = _pattern("d", _DELIVERY, deliveries)
        self._messages = _pattern("m", _MESSAGE, messages)
        self._rest: list[bytes] = []
        self.odd = 0  # lines that matchup did not write

    def receive(self, data: bytes) -> tuple[list[Row], list[Row]]:
        """Rows of the lines that `data` completes."""
        cut = data.rfind(b"\n")
        if cut < 0:
            self._rest.append(data)
            return [], []
        self._rest.append(data[:cut])
        block = b"".join(self._rest)
        self._rest = [data[cut + 1 :]]
        return self._rows(block)

    def end(self) -> tuple[list[Row], list[Row]]:
        """Rows of a last line without newline."""
        rest = b"".join(self._rest)
        self._rest = []
        return self._rows(rest) if rest else ([], [])

    def _rows(self, block: bytes) -> tuple[list[Row], list[Row]]:
        text = "\n" + block.decode("latin-1") + "\n"
        deliveries = self._deliveries.findall(text) if self._wanted["d"][1] else []
        messages = self._messages.findall(text) if self._wanted["m"][1] else []
        if len(deliveries) + len(messages) != text.count("\n") - 1:
            missing = text.count("\nd") - len(deliveries) if self._wanted["d"][1] else 0
            missing += text.count("\nm") - len(messages) if self._wanted["m"][1] else 0
            if missing:
                self._odd_rows(text, {"d": deliveries, "m": messages})
        return deliveries, messages

    def _odd_rows(self, text: str, rows: dict[str, list[Row]]) -> None:
        patterns = {"d": self._deliveries, "m": self._messages}
        for line in _ODD.findall(text):
            kind = line[1]
            fields, wanted = self._wanted[kind]
            if wanted and not patterns[kind].match(line + "\n"):
                self.odd += 1
                rows[kind].append(_lenient(line[1:], fields, wanted))


def _pattern(kind: str, fields: Sequence[str], wanted: Sequence[int]) -> re.Pattern[str]:
    last = max(wanted, default=2)
    groups = (f"({fields[i - 2]})" if i in wanted else fields[i - 2] for i in range(2, last + 1))
    whole = "" if len(wanted) != 1 else "()"  # findall gives rows only if there are two groups at least
    return re.compile(rf"\n{kind} {' '.join(groups)}{whole}(?=[ \t\n])")


def _lenient(line: str, fields: Sequence[str], wanted: Sequence[int]) -> Row:
    words = [word for word in re.split(r"[ \t]+", line) if word]
    words += [""] * (FIELDS - len(words))
    if line.startswith(("d k", "d d", "d z")):
        words[1] = line[2]
    row = []
    for i in wanted:
        kind, word = fields[i - 2], words[i - 1]
        if kind is _STAMP:
            word = repr(awk.number(word))
        elif kind is _COUNT:
            word = str(int(awk.number(word)))
        row.append(word)
    return tuple(row) if len(row) > 1 else (row[0], "")


def read(fd: int, records: Records) -> Iterator[tuple[list[Row], list[Row]]]:
    """Rows of everything on a descriptor, a block at a time.  Raises OSError."""
    for block in streams.blocks(fd):
        yield records.receive(block)
    yield records.end()
