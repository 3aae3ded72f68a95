"""Logs read and matched up in a process of their own, so that who counts has the other core.  qmail-report(1).

Files are read in the order given, as one log; one that gzip, bzip2 or xz made is unpacked."""

from __future__ import annotations

import os
import time

from ucspi.core import errtext, signals, streams
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import IO, BinaryIO

BLOCK = 1 << 18
GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"  # what a packed file begins with
STDIN = b"-"


class Matched:
    """What the other process sends: iterate over it first, then ask."""

    def __init__(self, names: Sequence[bytes], progress: bool) -> None:
        """`progress`: show on descriptor 2 how far it is."""
        self._output, output = os.pipe()
        streams.widen(output)
        self._summary, summary = os.pipe()
        signals.hear_of_children()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._output)
            os.close(self._summary)
            os._exit(_work(names, progress, output, summary))
        os.close(output)
        os.close(summary)
        self.warnings: dict[str, int] = {}
        self.pending = 0
        self.bytes = 0  # that were read

    def __iter__(self) -> Iterator[bytes]:
        """Blocks of matchup's output.  Raises TemporaryFailure if the logs cannot be read to their end."""
        import json

        yield from streams.blocks(self._output, BLOCK)
        said = streams.read_all(self._summary)
        status = os.waitpid(self._pid, 0)[1]
        if not said:
            raise TemporaryFailure(f"the reader of the logs crashed ({status})")
        summary = json.loads(said)
        if "failure" in summary:
            raise TemporaryFailure(summary["failure"])
        self.warnings, self.pending, self.bytes = summary["warnings"], summary["pending"], summary["bytes"]


def _work(names: Sequence[bytes], progress: bool, output: int, summary: int) -> int:
    """The other process: its exit code."""
    import gc
    import json
    import signal

    from qmail.analog.core.matching import Matcher

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # nobody counts any more
    gc.disable()  # the tables hold millions of objects and no cycles
    matcher, size = Matcher(time.time()), 0
    try:
        for block in _with_progress(names) if progress else _blocks(names, lambda _: None):
            size += len(block)
            if matched := matcher.receive(block):
                streams.write_all(output, matched)
        pending = matcher.pending().count(b" info msg ")
        said: dict[str, object] = {"warnings": matcher.warnings, "pending": pending, "bytes": size}
    except TemporaryFailure as e:
        said = {"failure": str(e)}
    streams.write_all(summary, json.dumps(said).encode())
    return 0


def _blocks(names: Sequence[bytes], read: Callable[[int], object]) -> Iterator[bytes]:
    """What is in the files; `read` is told how much of them, packed, was read.  A last line gets its newline."""
    for name in names:
        last = b"\n"
        try:
            file = open(0 if name == STDIN else name, "rb", buffering=0, closefd=name != STDIN)
            with file:
                for block in _unpacked(file, read):
                    last = block
                    yield block
        except (OSError, EOFError) as e:  # a packed file that is cut short
            why = errtext.text(e) if isinstance(e, OSError) and e.errno else str(e)
            raise TemporaryFailure(f"unable to read {os.fsdecode(name)}: {why}") from e
        if not last.endswith(b"\n"):
            yield b"\n"


def _unpacked(file: BinaryIO, read: Callable[[int], object]) -> Iterator[bytes]:
    begin = file.read(BLOCK) or b""
    reader = _Reader(begin, file, read)
    opened, damage = _opener(begin, reader)
    if opened is None:
        while block := reader.read(BLOCK):
            yield block
        return
    try:
        with opened as unpacked:
            while block := unpacked.read(BLOCK):
                yield block
    except damage as e:
        raise EOFError(str(e)) from e


class _Reader:
    """A file whose beginning has been read; `read` is told of what is read of it."""

    def __init__(self, begin: bytes, file: BinaryIO, read: Callable[[int], object]) -> None:
        self._begin, self._file, self._told = begin, file, read

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data, self._begin = self._begin, b""
        if not data:
            data = self._file.read(size) or b""
        elif 0 <= size < len(data):
            data, self._begin = data[:size], data[size:]
        self._told(len(data))
        return data


def _opener(begin: bytes, reader: _Reader) -> tuple[IO[bytes] | None, type[Exception]]:
    """Who unpacks a file that begins so, None if nobody has to; and what he says of damage.  Raises OSError."""
    packed: object = reader  # all that is asked of it is to be read
    if begin.startswith(GZIP):
        import gzip
        import zlib

        return gzip.GzipFile(fileobj=packed), zlib.error  # type: ignore[call-overload]
    if begin.startswith(BZIP2):
        import bz2

        return bz2.BZ2File(packed), OSError  # type: ignore[call-overload]
    if begin.startswith(XZ):
        import lzma

        return lzma.LZMAFile(packed), lzma.LZMAError  # type: ignore[arg-type]
    if begin.startswith(ZSTD):
        raise OSError("packed with zstd: unpack it first")
    return None, OSError


def _with_progress(names: Sequence[bytes]) -> Iterator[bytes]:
    import sys

    import click

    total = 0
    for name in names:
        try:
            total += os.stat(name if name != STDIN else 0).st_size
        except OSError:
            pass  # said when it is read
    with click.progressbar(length=total, label="reading", file=sys.stderr) as bar:
        yield from _blocks(names, bar.update)
