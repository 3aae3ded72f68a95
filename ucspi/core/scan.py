"""Decimal numbers as djb's programs read them.  ucspi-tcp(7), section "numbers"."""

from __future__ import annotations

_WORD = (1 << 64) - 1


def number(word: bytes) -> int:
    """The leading digits of `word` as a number modulo 2**64; 0 if there are none.  No sign; junk is ignored."""
    digits = word[: len(word) - len(word.lstrip(b"0123456789"))]
    # int() refuses more than 4,300 digits; only the low 64 bits count, and 10**64 is a multiple of 2**64.
    return int(digits[-64:]) & _WORD if digits else 0


def is_number(word: bytes) -> bool:
    """True if `word` is digits and nothing else."""
    return word.isdigit()
