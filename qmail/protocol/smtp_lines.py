"""Bare newlines in mail data made into lines, for clients that cannot be repaired.  qmail-smtpd(8), BARELF.

Stands before the decoder (smtp_data) and gives it what a proper client would have sent:

    LF, not behind CR      CR LF
    a line "."             if one of its two line ends was bare: in mode ALLOW the end of the mail, else "..", a line
                           with a dot in it.  Only CR LF . CR LF ends a mail then, so that no one can put a second
                           mail into the first, whatever another server has taken for its end ("SMTP smuggling").

A CR that is not before LF is data in every mode, as in the original.  Behind the end everything passes as it is."""

from __future__ import annotations

from qmail.protocol.smtp_data import proper_lines

REJECT, NORMALIZE, ALLOW = b"reject", b"normalize", b"allow"
MODES = (REJECT, NORMALIZE, ALLOW)

_UNDECIDED = (b"", b".", b".\r")  # starts of a line that may yet become a lone dot


class LineEnds:
    """One mail's data, in pieces.  Holds two bytes at most."""

    __slots__ = ("_after_bare", "_allow", "_behind_cr", "_ended", "_held", "_inside")

    def __init__(self, mode: bytes) -> None:
        self._allow = mode == ALLOW
        self._held = b""  # the start of a line, as far as it is undecided
        self._inside = False  # a line has begun, and is no lone dot
        self._behind_cr = False  # ... whose last byte so far is CR
        self._after_bare = False  # the line before ended in a bare newline
        self._ended = False

    def feed(self, data: bytes) -> bytes:
        """The next bytes, as the decoder should see them."""
        if self._ended:
            return data
        if self._is_proper(data):
            return self._pass(data)
        if self._held:
            data, self._held = self._held + data, b""
        done: list[bytes] = []
        at = 0
        while (newline := data.find(b"\n", at)) >= 0:
            done.append(self._line(data[at:newline]))
            at = newline + 1
            if self._ended:
                done.append(data[at:])
                return b"".join(done)
        done.append(self._last(data[at:]))
        return b"".join(done)

    def _is_proper(self, data: bytes) -> bool:
        """True if there is nothing to do in `data`: no bare newline, no lone dot.  False in case of doubt."""
        return (
            not (self._held or self._after_bare or self._behind_cr)
            and proper_lines(data) is not None
            and b"\n.\r\n" not in data
            and (self._inside or not data.startswith(b"."))
        )

    def _pass(self, data: bytes) -> bytes:
        """As it is; but a start of a line that may yet become a lone dot is held."""
        end = data.rfind(b"\n") + 1
        if end:
            self._inside = False
        return data[:end] + self._last(data[end:]) if end < len(data) else data

    def _last(self, start: bytes) -> bytes:
        """What is passed on of a line whose end has not come."""
        if not self._inside and start in _UNDECIDED:
            self._held = start
            return b""
        if start:
            self._inside, self._behind_cr = True, start.endswith(b"\r")
        return start

    def _line(self, line: bytes) -> bytes:
        """One line, or the end of one, that came without its newline."""
        proper = line.endswith(b"\r") or (not line and self._inside and self._behind_cr)
        if not self._inside and line in (b".", b".\r"):
            if self._allow or (proper and not self._after_bare):
                self._ended = True
                return b".\r\n"
            line = b"." + line
        self._inside = self._behind_cr = False
        self._after_bare = not proper
        return line + (b"\n" if proper else b"\r\n")
