"""The ESMTP parameters behind the address of MAIL and RCPT, parsed once.  RFC 5321 4.1.2.

    SIZE=5000 BODY=8BITMIME      words between blanks, KEYWORD or KEYWORD=VALUE; keywords in any case

As in the original nothing here is an error: a parameter that nobody knows, or that has no sense, does not count."""

from __future__ import annotations

from ucspi.core import scan

MANY = 32  # words that are looked at


class Parameters:
    """What is known of the mail before it comes."""

    __slots__ = ("size",)

    def __init__(self, size: int = 0) -> None:
        self.size = size  # bytes, by the client's reckoning (RFC 1870); 0: not said

    @classmethod
    def parse(cls, text: bytes) -> Parameters:
        """The last of equal keywords counts."""
        found = cls()
        for word in text.split(None, MANY)[:MANY]:
            keyword, equals, value = word.partition(b"=")
            if equals and keyword.lower() == b"size" and scan.is_number(value):
                found.size = scan.number(value[-20:]) if len(value) <= 20 else 1 << 62
        return found
