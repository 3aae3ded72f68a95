"""qmail-send's log lines.  Expected values: spec qmail-queue 7.12, 7.13 and rows of 12.2-12.4."""

from __future__ import annotations

import os

import pytest

from qmail.core import logline


def test_what_strangers_wrote_cannot_forge_a_line() -> None:
    assert logline.safe(b"we ird\tu%\x80\n@remote.example") == b"we_ird_u__/@remote.example"  # row 18
    assert logline.safe(bytes(range(33))) == b"_" * 10 + b"/" + b"_" * 22
    printable = bytes(byte for byte in range(33, 127) if byte != ord("%"))
    assert logline.safe(printable) == printable
    assert logline.safe(b"%\x7f\xff") == b"___"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (logline.new(2196484), b"new msg 2196484\n"),
        (logline.info(7, 85, b"#@[] x", 8764, 0), b"info msg 7: bytes 85 from <#@[]_x> qp 8764 uid 0\n"),
        (logline.starting(6, 7, 0, b"a b@c"), b"starting delivery 6: msg 7 to local a_b@c\n"),
        (logline.starting(7, 7, 1, b"a@b"), b"starting delivery 7: msg 7 to remote a@b\n"),
        (logline.report(18, b"K", b""), b"delivery 18: success: \n"),
        (logline.report(1, b"Z", b"a b\n"), b"delivery 1: deferral: a_b/\n"),
        (logline.report(1, b"D", b"no\n"), b"delivery 1: failure: no/\n"),
        (logline.report(3, b"X", b"weird"), b"delivery 3: report mangled, will defer\n"),
        (logline.report(3, b"", b""), b"delivery 3: report mangled, will defer\n"),
        (logline.status((0, 1), (10, 20), False), b"status: local 0/10 remote 1/20\n"),
        (logline.status((0, 0), (5, 2), True), b"status: local 0/5 remote 0/2 exitasap\n"),
        (logline.bounce(2196495, 8780), b"bounce msg 2196495 qp 8780\n"),
        (logline.triple(b"bounce/5"), b"triple bounce: discarding bounce/5\n"),
        (logline.end(5), b"end msg 5\n"),
        (logline.warning(b"x"), b"warning: x\n"),
        (logline.alert(b"x"), b"alert: x\n"),
        (logline.EXITING, b"status: exiting\n"),
    ],
)
def test_every_event_has_its_line(line: bytes, text: bytes) -> None:
    assert line == text


def test_lines_of_a_turn_leave_together_and_an_alert_leaves_at_once() -> None:
    read, write = os.pipe()
    slept: list[float] = []
    log = logline.Log(write, slept.append)
    os.set_blocking(read, False)
    log(b"one\n")
    log(b"two\n")
    with pytest.raises(BlockingIOError):
        os.read(read, 100)
    log.stall(b"three")
    assert os.read(read, 100) == b"one\ntwo\nalert: three\n"
    assert slept == [10]
    os.close(read)
    log(b"nobody reads this\n")
    log.flush()
    os.close(write)
