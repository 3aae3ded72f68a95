"""What qmail-scanner-queue's options do: the daily clean-up, and a look at the rules."""

from __future__ import annotations

import os
import time

from qmail.core import instance
from qmail.scanner import archive, fields, owner, probing, quarantined, rules, settings, versions
from ucspi.core import streams
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qmail.scanner.settings import Settings
    from ucspi.core.command import Call

HELP = b"""\
qmail-scanner-queue reads a message on descriptor 0 and its envelope on descriptor 1.
  -z  remove what interrupted runs have left, ask the engines for their versions
  -g  check the rules in quarantine-events.txt     -r  print them
  -v  print the version
"""
STALE = 36 * 3600  # seconds; nobody scans for longer than qmail-queue lives


def run(call: Call, letters: Sequence[str]) -> int:
    """Do all that is asked for.  Raises Failure or OSError."""
    if "h" in letters:
        streams.write_all(1, HELP)
        return 0
    if "v" in letters:
        import ucspi

        streams.write_all(1, b"qmail-scanner-%b (ucspi-qmail %b)\n" % (fields.VERSION, ucspi.__version__.encode()))
        return 0
    wanted = settings.load(instance.of(call.env))
    known = rules.load(wanted)
    if "r" in letters:
        streams.write_all(1, b"".join([b"\t".join(line) + b"\n" for line in known.lines]))
    if "g" in letters:
        number = len(known.lines)
        file = os.path.join(wanted.spool, rules.FILE)
        streams.write_all(1, b"%b: %d rule%b\n" % (file, number, b"" if number == 1 else b"s"))
    if "z" in letters:
        found = probing.versions(wanted)
        with owner.of(wanted.spool):
            _clean(wanted)
            versions.write(wanted.spool, found)
        if missing := [name for _, name, _ in wanted.engines() if name not in found]:
            raise TemporaryFailure(f"no version of {os.fsdecode(b', '.join(missing))}")
    return 0


def _clean(wanted: Settings) -> None:
    """Unlink old files in places where only work in progress is."""
    for directory in _places(wanted.spool):
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    if entry.is_file(follow_symlinks=False) and entry.stat().st_mtime + STALE < time.time():
                        os.unlink(entry.path)
                except OSError:
                    continue  # tomorrow


def _places(spool: bytes) -> Iterator[bytes]:
    yield spool + b"/working/tmp"
    for kind in quarantined.PLACES:
        yield quarantined.directory(spool, kind) + b"/tmp"
    if os.path.isdir(archive.directory(spool)):  # spools made before there was one have none
        yield archive.directory(spool) + b"/tmp"
