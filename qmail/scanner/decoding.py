"""Attachments decoded as they go by, for their size and, if they are zip archives, the names in them.

Nothing of an attachment is kept but what is needed to go on: at most a line, and what may be an archive's directory.
Readers find an archive behind other bytes too, so every attachment may be one."""

from __future__ import annotations

import binascii

from qmail.scanner.zipnames import Archive, Budget

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64 = bytes(sorted(set(range(256)) - set(_BASE64)))
LINE = 65536  # bytes without a newline that quoted-printable may hold back
UUENCODED = 300  # bytes of a `begin` line that are looked at
UUNAMES = 100  # files that one text may hold that way


class Inner:
    """What takes an attachment apart that is a message itself."""

    __slots__ = ()

    def feed(self, data: bytes) -> None:
        """The next bytes of it, decoded."""
        raise NotImplementedError

    def end(self) -> None:
        """It is over."""
        raise NotImplementedError


class Content:
    """One attachment: feed() what stands in the message, then end()."""

    __slots__ = ("_budget", "_head", "_left", "_zip", "archive", "inner", "size")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._left = Budget(budget.left)  # spent on what may turn out to be no archive
        self._zip = Archive(self._left)
        self._head = b""  # its first two bytes
        self.size = 0
        self.archive: Archive | None = None  # in the end, if it is one
        self.inner: Inner | None = None

    def feed(self, data: bytes) -> None:
        """The next bytes of the message."""
        self._take(data)

    def end(self) -> None:
        """The attachment is over."""
        if self.inner is not None:
            return self.inner.end()
        self._zip.end()
        if self._zip.found or self._head == b"PK":
            self.archive = self._zip
            self._budget.left = self._left.left

    @property
    def uuencoded(self) -> list[bytes]:
        """Names of files that stand uuencoded in it."""
        return []

    def _take(self, data: bytes) -> None:
        self.size += len(data)
        if self.inner is not None:
            return self.inner.feed(data)
        if len(self._head) < 2:
            self._head = (self._head + data)[:2]
        self._zip.feed(data)


class Base64(Content):
    """Content-Transfer-Encoding: base64.  What is not of its alphabet is skipped, as RFC 2045 6.8 wants."""

    __slots__ = ("_rest",)

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self._rest = b""

    def feed(self, data: bytes) -> None:
        # Padding ends a piece, and what follows it is a piece of its own: a decoder alone would stop there.
        first, *others = (self._rest + data.translate(None, _NOT_BASE64)).split(b"=")
        if others:
            self._piece(first)
            for piece in filter(None, others[:-1]):
                self._piece(piece)
            first = others[-1]
        whole = len(first) & ~3
        self._rest = first[whole:]
        self._take(binascii.a2b_base64(first[:whole]))

    def end(self) -> None:
        self._piece(self._rest)
        super().end()

    def _piece(self, letters: bytes) -> None:
        if len(letters) % 4 == 1:
            letters = letters[:-1]  # six bits are no byte
        self._take(binascii.a2b_base64(letters + b"=" * (-len(letters) % 4)))


class QuotedPrintable(Content):
    """Content-Transfer-Encoding: quoted-printable."""

    __slots__ = ("_rest",)

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self._rest = b""

    def feed(self, data: bytes) -> None:
        data = self._rest + data
        end = data.rfind(b"\n") + 1
        if not end and len(data) > LINE:
            end = len(data)
        self._rest = data[end:]
        self._take(binascii.a2b_qp(data[:end]))

    def end(self) -> None:
        self._take(binascii.a2b_qp(self._rest))
        super().end()


class Plain(Content):
    """What stands as it is; files may be uuencoded in it."""

    __slots__ = ("_names", "_rest")

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self._rest = b"\n"
        self._names: list[bytes] = []

    @property
    def uuencoded(self) -> list[bytes]:
        return self._names

    def feed(self, data: bytes) -> None:
        self._take(data)
        text = self._rest + data
        at = 0
        while (at := text.find(b"\nbegin ", at)) >= 0:
            end = text.find(b"\n", at + 1)
            if end < 0 and len(text) - at < UUENCODED:
                break
            self._begin(text[at + 7 : end if end >= 0 else at + UUENCODED])
            at += 1
        self._rest = text[at:] if at >= 0 else text[-6:]

    def _begin(self, words: bytes) -> None:
        mode, _, name = words.partition(b" ")
        if 3 <= len(mode) <= 4 and mode.isdigit() and name.strip() and len(self._names) < UUNAMES:
            self._names.append(name.strip())


def content(encoding: bytes, budget: Budget) -> Content:
    """What decodes an attachment of that Content-Transfer-Encoding, which is in small letters."""
    if encoding == b"base64":
        return Base64(budget)
    return QuotedPrintable(budget) if encoding == b"quoted-printable" else Plain(budget)
