"""Make one page of statistics, to be looked at, of logs of a mail host.  qmail-report(1).

Reads the LOGs (- or none: descriptor 0), as qmail-send, qmail-smtpd and rblsmtpd write them through multilog, splogger
or journald, packed or not, and writes a HTML page that needs nothing else on descriptor 1, or to FILE.
Exits 0, 100 on bad usage, 111 if a log cannot be read or the page not be written."""

from __future__ import annotations

import os
import time

from ucspi.core import errtext, scan, streams
from ucspi.core.command import Call, Long, Program, Value
from ucspi.core.failure import TemporaryFailure, UsageFailure

PROGRAM = Program(
    "qmail-report",
    __doc__,
    options=(
        Value("o", "FILE", "Write to FILE; it is replaced when all is done."),
        Value("n", "ROWS", "Rows of the lists of the largest (20)."),
        Long("json", "The figures as JSON instead of the page."),
    ),
    usage="qmail-report [ -o file ] [ -n rows ] [ --json ] [ log ... ]",
    operands="[LOG]...",
)
ROWS = 20
MOST = 10_000  # rows that a page can have and still be a page


def report(call: Call) -> int:
    """The program."""
    rows = call.value("n", b"%d" % ROWS) or b""
    if not scan.is_number(rows) or not 1 <= scan.number(rows) <= MOST:
        raise UsageFailure(f"qmail-report: -n must be a number from 1 to {MOST}")
    import gc

    from qmail.analog.core.figures import Figures
    from qmail.analog.core.logfiles import Matched

    matched = Matched(call.operands or [b"-"], progress=os.isatty(2))
    gc.disable()  # the tables hold millions of objects and no cycles
    try:
        figures = Figures()
        for block in matched:
            figures.receive(block)
        zone = time.localtime().tm_gmtoff
        result = figures.result(scan.number(rows), warnings=matched.warnings, pending=matched.pending, zone=zone)
    finally:
        gc.enable()
    for what, times in matched.warnings.items():
        call.warn(f"warning: {times} {what}")
    if matched.bytes and not matched.pending and figures.is_empty:
        call.warn("warning: there is no mail in these logs")
    _write(call.value("o"), _json(result) if call.given("json") else _page(result))
    return 0


def _json(result: dict[str, object]) -> bytes:
    import json

    return json.dumps(result, indent=1, ensure_ascii=False).encode() + b"\n"


def _page(result: dict[str, object]) -> bytes:
    from qmail.analog.core.page import page

    return page(result, time.time()).encode()


def _write(name: bytes | None, text: bytes) -> None:
    if name is not None:
        from ucspi.core.replacement import replace

        replace(name, name + b".tmp", lambda fd: streams.write_all(fd, text))
        return
    try:
        streams.write_all(1, text)
    except OSError as e:
        raise TemporaryFailure(f"unable to write output: {errtext.text(e)}") from e


main = PROGRAM.entry(report)
