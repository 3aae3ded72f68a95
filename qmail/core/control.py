"""Control files: one setting per file below control/.  qmail-control(5).

    line     the first line, without trailing newline, blanks and tabs; an empty file is an empty line
    number   leading digits of that line; a line that starts with no digit counts as absent
    entries  every line stripped likewise; empty lines and lines that start with "#" are skipped

A file is absent only when it does not exist.  Any other trouble is an OSError that names the file: a setting that
cannot be read must never be taken for one that was not made."""

from __future__ import annotations

import os

from ucspi.core import scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLANKS = b"\n \t"  # what is stripped from the right; a carriage return is data


class Control:
    """The files of one control directory, read afresh at each call."""

    __slots__ = ("directory",)

    def __init__(self, directory: bytes) -> None:
        self.directory = directory

    def line(self, name: bytes, me: bool = False) -> bytes | None:
        """Return the first line of file `name`; with `me`, control/me stands in for an absent file."""
        data = self._read(name, first_line=True)
        if data is None:
            return self.line(b"me") if me else None
        return data.partition(b"\n")[0].rstrip(BLANKS)

    def number(self, name: bytes, default: int) -> int:
        """Return the number in file `name`, or `default` when there is none."""
        line = self.line(name)
        return scan.number(line) if line is not None and line[:1].isdigit() else default

    def entries(self, name: bytes) -> list[bytes] | None:
        """Return the lines of file `name` that say something; a present but empty list differs from None."""
        data = self._read(name)
        if data is None:
            return None
        lines = (line.rstrip(BLANKS) for line in data.split(b"\n"))
        return [line for line in lines if line and line[:1] != b"#"]

    def _read(self, name: bytes, first_line: bool = False) -> bytes | None:
        path = self.directory + b"/" + name
        try:
            # Non-blocking, so that a FIFO left here cannot stop a daemon.
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            blocks = []
            while block := os.read(fd, 65536):
                blocks.append(block)
                if first_line and b"\n" in block:
                    break
            return b"".join(blocks)
        except OSError as error:
            error.filename = path  # read(2) knows no name, the administrator needs it
            raise
        finally:
            os.close(fd)


def keymap(entries: Iterable[bytes]) -> dict[bytes, bytes]:
    """Map lower-cased key to value for `key:value` lines; lines without colon are dropped, later ones win."""
    pairs = (entry.partition(b":") for entry in entries)
    return {key.lower(): value for key, colon, value in pairs if colon}


def suffixes(domain: bytes) -> Iterator[bytes]:
    """Yield the keys under which `domain` is looked up: itself, then what starts at each of its dots."""
    yield domain
    dot = domain.find(b".", 1)
    while dot >= 0:
        yield domain[dot:]
        dot = domain.find(b".", dot + 1)
