"""Bytes between qmail-send, the spawn programs, qmail-clean and the logger, as the C qmail-send was seen to write them.

send_vectors.jsonl: one message a line, injected into an idle queue, and the reports of its deliveries, each given when as
many commands as it says have come.  What notqmail 1.09's qmail-send wrote on each pipe follows, with the numbers that
differ from run to run as {N} the message, {S} its subdirectory, {P} and {U} pid and uid of who queued it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support import sender as support
from tests.support.instance import SPLIT, queue_raw
from tests.support.sender import Sender, Start

start = support.start
VECTORS = [json.loads(line) for line in Path(__file__).with_name("send_vectors.jsonl").read_text().splitlines()]


def play(sender: Sender, case: dict[str, Any]) -> dict[str, str]:
    """Queue the message of a case, report on its deliveries, stop; return what was written on each pipe."""
    sender.until(b"status: local 0/10 remote 0/20")
    todo = b"u%d\0p%d\0" % (os.getuid(), os.getpid()) + case["envelope"].encode("latin-1")
    n = queue_raw(sender.home, todo)
    for commands, channel, report in case["reports"]:
        sender.wait(lambda commands=commands: len(sender.commands[0] + sender.commands[1]) >= commands)  # type: ignore[misc]
        sender.report(channel, report.encode("latin-1"))
    if case["ends"]:
        sender.wait(lambda: b"foop/%d" % n in sender.cleaned)
    else:
        reported = len(case["reports"])
        sender.wait(lambda: sender.log.count(b"\ndelivery ") >= reported and sender.log.endswith(b"remote 0/20\n"))
    sender.terminate()
    pipes = {
        "local": sender.sent[0],
        "remote": sender.sent[1],
        "clean": b"".join(name + b"\0" for name in sender.cleaned),
        "log": sender.log,
    }
    left = {kind: support.path(sender.home, kind, n) for kind in ("info", "local", "remote")}
    pipes |= {f"{kind}/S/N": file.read_bytes() for kind, file in left.items() if file.exists()}
    bounce = sender.home / f"queue/bounce/{n}"
    if bounce.exists():
        pipes["bounce/N"] = bounce.read_bytes()
    hidden = ((b"%d/%d" % (n % SPLIT, n), b"{S}/{N}"), (b"%d" % n, b"{N}"))
    hidden += ((b" qp %d " % os.getpid(), b" qp {P} "), (b" uid %d\n" % os.getuid(), b" uid {U}\n"))
    for number, name in hidden:
        pipes = {pipe: data.replace(number, name) for pipe, data in pipes.items()}
    return {pipe: data.decode("latin-1") for pipe, data in pipes.items()}


@pytest.mark.parametrize("case", VECTORS, ids=[case["name"] for case in VECTORS])
def test_every_pipe_carries_the_bytes_that_the_original_was_seen_to_write(start: Start, case: dict[str, Any]) -> None:
    assert play(start(**case["control"]), case) == case["seen"]
