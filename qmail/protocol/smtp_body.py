"""A message file made fit for SMTP's DATA, block by block.  RFC 5321 2.3.8, 4.5.2; qmail-remote(8).

    LF, CR LF            CR LF
    CR inside a line     CR LF: a line end, as old programs meant it
    CR CR before CR, LF  CR LF CR, as the original sends it; what follows this bare CR is always CR LF
    "." first in a line  doubled, whichever of these ended the line before
    NULs and "." first   a "." in front of them, which every receiver takes away again (RFC 5321 4.5.2)

The last two rules are stricter than the original's.  It forgot lines after a lone CR, and there are receivers that drop
NULs and see the dot behind them first in its line: a message could end itself there and go on with SMTP commands of its
own.  A file that ends inside a line is partial, and not to be sent as it is."""

from __future__ import annotations

MOST_NULS = 65536  # held back; more of them at the start of a line are in no mail


class BodyEncoder:
    """File blocks in, wire bytes out.  Holds little back, whatever the message."""

    __slots__ = ("_at_line_start", "_held", "_nuls")

    def __init__(self) -> None:
        self._held = b""  # carriage returns whose meaning hangs on what follows
        self._nuls = b""  # of the start of a line, behind which there may be a dot
        self._at_line_start = True

    def encode(self, block: bytes) -> bytes:
        """The wire form of the next block."""
        if self._held:
            block, self._held = self._held + block, b""
        returns = block.count(b"\r")
        if returns:
            if block.endswith(b"\r") or returns != block.count(b"\r\n"):
                block, self._held = _plain(block)
            else:
                block = block.replace(b"\r\n", b"\n")
        return self._wire(block)

    def finish(self) -> bytes:
        """What is left at the end of file, and the final dot.  Only for a message that is not partial."""
        left = self._wire(b"\n" * len(self._held))  # a CR at the end ends a line
        self._held = b""
        return left + b".\r\n"

    @property
    def partial(self) -> bool:
        """Would the message end inside a line, if it ended here?"""
        return not self._held and (not self._at_line_start or bool(self._nuls))

    def _wire(self, lines: bytes) -> bytes:
        if not lines:
            return b""
        if self._nuls or b"\0" in lines:
            return self._wire_with_nuls(self._nuls + lines)
        wire = lines.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")
        if self._at_line_start and lines.startswith(b"."):
            wire = b"." + wire
        self._at_line_start = lines.endswith(b"\n")
        return wire

    def _wire_with_nuls(self, lines: bytes) -> bytes:
        import re  # only for this

        text = lines.rstrip(b"\0")
        starts_line = text.endswith(b"\n") if text else self._at_line_start
        self._nuls = lines[len(text) :] if starts_line else b""
        if len(self._nuls) > MOST_NULS:
            # Not to be held any longer, and whatever follows, no line with a dot alone.
            text, self._nuls = text + b".." + self._nuls, b""
        elif not starts_line:
            text = lines
        start = rb"(\A|\n)" if self._at_line_start else rb"(\n)"
        if text:
            self._at_line_start = text.endswith(b"\n")
        return re.sub(start + rb"(?=\0*\.)", rb"\1.", text).replace(b"\n", b"\r\n")


def _plain(block: bytes) -> tuple[bytes, bytes]:
    """The block with every line end as LF, and the carriage returns at its end that cannot be judged yet."""
    done: list[bytes] = []
    start = 0
    while (at := block.find(b"\r", start)) >= 0:
        done.append(block[start:at])
        following = block[at + 1 : at + 3]
        if not following or following == b"\r":
            return b"".join(done), block[at:]
        if following.startswith(b"\n"):
            done.append(b"\n")
            start = at + 2
        elif not following.startswith(b"\r"):
            done.append(b"\n")
            start = at + 1
        else:
            # A bare CR goes out only before a line end: no receiver that takes it for one can see a dot behind it.
            done.append(b"\n\r" if following[1] in b"\r\n" else b"\n\n")
            start = at + 2
    done.append(block[start:])
    return b"".join(done), b""
