"""Numbers as awk reads and prints them: the reports of qmailanalog are awk's arithmetic, its digits their interface.

Arithmetic is IEEE double on the time stamps, in the order of the lines.  (sum() is not for that: it compensates.)"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[ \t]*" + _NUMBER.pattern + r"[ \t]*")


def number(text: str) -> float:
    """The number that `text` begins with, or 0."""
    found = _NUMBER.match(text)
    return float(found[0]) if found else 0.0


def is_number(text: str) -> bool:
    """Does all of `text` look like a number?  Then awk compares it as one."""
    return _WHOLE.fullmatch(text) is not None


def show(value: float) -> str:
    """As `print` does: whole numbers in full, others with six digits."""
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() else f"{value:.6g}"


def quotient(a: float, b: float) -> float:
    """a/b, where b may be zero."""
    if b:
        return a / b
    return a * float("inf") if a else float("nan")
