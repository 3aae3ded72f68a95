"""Decoder for the mail data that follows DATA: wire form in, stored form out, block by block.  qmail-smtpd(8).

On the wire (RFC 5321 4.1.1.4, 4.5.2), byte for byte as in qmail-smtpd:

    CR LF                    stored as LF
    CR, not before LF        stored; so CR CR LF is stored as CR LF
    LF, not behind CR        BareLF: a server that took it for a line end could be made to see two mails where
                             another sees one
    "." at a line's start    dropped, unless CR follows: "." CR LF is the end, "." CR anything else is stored whole

Mail comes at the speed of the network, so nothing here looks at single bytes or lines: each block is searched and
replaced as a whole, and only lines that start with a dot cost more."""

from __future__ import annotations

CRLF = b"\r\n"
DOT = b"\r\n."
END = b"\r\n.\r\n"
# Where a block may end in the middle of something; the longest first.
CUTS = tuple(END[:n] for n in range(len(END) - 1, 0, -1))

TRACES = (b"\nreceived", b"\ndelivered")
# Where a block may end in the middle of a trace field's name, or of the header's last two newlines.
TRACE_CUTS = tuple({name[:n] for name in TRACES for n in range(1, len(name))})


class BareLF(Exception):
    """A newline without carriage return: nothing that follows can be trusted."""


class DataDecoder:
    """One mail's data.  No sockets, files, clock or environment; memory is the block at hand and five bytes."""

    __slots__ = ("_first", "_hops", "_pending", "rest", "size")

    def __init__(self) -> None:
        # The data starts at the beginning of a line: as if a line had just ended, whose newline is not ours to store.
        self._pending = CRLF
        self._first = True
        self._hops = HopCounter()
        self.size = 0  # bytes stored so far
        self.rest: bytes | None = None  # what followed the end of the data; None until it has come

    @property
    def hops(self) -> int:
        """Trace fields (Received, Delivered-To) in the header so far."""
        return self._hops.count

    def feed(self, data: bytes) -> bytes:
        """The stored form of `data`, but for what its last bytes leave open.  Raises BareLF."""
        wire = self._pending + data
        dots = wire.find(DOT)
        end = wire.find(END, dots) if dots >= 0 else -1
        if end >= 0:
            self.rest = wire[end + len(END) :]
            wire = wire[: end + len(CRLF)]
        else:
            self._pending = _open_end(wire)
            if self._pending:
                wire = wire[: -len(self._pending)]
        lines = proper_lines(wire)
        if lines is None:
            stored = _unstuffed(wire) if dots >= 0 else _lines(wire)
        else:
            stored = b"\n".join(lines.split(b"\n.")) if dots >= 0 else lines  # one search; replace makes two
        if self._hops.looking and stored:
            # As it was on the wire: ".Received" is no trace field, though it is one once its dot is gone.
            self._hops.feed(_lines(wire) if lines is None else lines)
        if self._first and stored:
            self._first = False
            stored = stored[1:]
        self.size += len(stored)
        return stored


class HopCounter:
    """Counts the header's lines that start as trace fields do, in any case: a mail that has many is looping."""

    __slots__ = ("_pending", "count", "looking")

    def __init__(self) -> None:
        self._pending = b""
        self.count = 0
        self.looking = True  # until the empty line behind the header

    def feed(self, lines: bytes) -> None:
        """Look at the next lines, of which each is told from the newline before it."""
        text = self._pending + lines
        end = text.find(b"\n\n")
        if end >= 0:
            self.looking = False
            text = text[:end]
        text = text.lower()
        self.count += sum(text.count(name) for name in TRACES)
        tail = text[-len(TRACES[-1]) :]
        tail = tail[tail.rfind(b"\n") :] if b"\n" in tail else b""
        self._pending = tail if tail in TRACE_CUTS else b""


def _open_end(wire: bytes) -> bytes:
    """The last bytes of a block, as far as the next block decides what they are."""
    for cut in CUTS:
        if wire.endswith(cut):
            return cut
    return b""


def proper_lines(wire: bytes) -> bytes | None:
    """Lines that end in CR LF to lines that end in LF, if there is no other CR and no other LF; else None.

    Replacing single bytes, and comparing, are many times faster than looking for CR LF."""
    lines = wire.replace(b"\r", b"")
    return lines if lines.replace(b"\n", CRLF) == wire else None


def _lines(wire: bytes) -> bytes:
    """As proper_lines, with any CR in them.  Raises BareLF."""
    lines = wire.replace(CRLF, b"\n")
    if wire.count(b"\n") != len(wire) - len(lines):
        raise BareLF
    return lines


def _unstuffed(wire: bytes) -> bytes:
    """As _lines, without the dots that hide dots; `wire` has no end of data in it."""
    kept = DOT + b"\r"
    if kept in wire:
        # Neither half of a cut holds a part of another: "\r\n.\r" and "\n" would be the end of data.
        wire = kept.join(part.replace(DOT, CRLF) for part in wire.split(kept))
        return _lines(wire)
    return _lines(wire.replace(DOT, CRLF))
