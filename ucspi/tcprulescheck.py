"""Show which rule tcpserver would follow.  tcprulescheck(1).

Reads TCPREMOTEIP (0.0.0.0 if unset), TCPREMOTEHOST and TCPREMOTEINFO; prints the rule and what it does.
Exits 0 whether the rule allows or denies, 111 if the rules cannot be read."""

from __future__ import annotations

import os

from ucspi.core import errtext, streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure
from ucspi.core.rules import Rules

PROGRAM = Program("tcprulescheck", __doc__, usage="tcprulescheck rules.cdb", operands="CDB")


def explain(key: bytes, data: bytes) -> bytes:
    """The text for one record; a deny hides what stands behind it, as nobody will see it set."""
    lines = [b"rule %b:\n" % key.partition(b"\0")[0]]
    for string in data.split(b"\0")[:-1]:
        if string.startswith(b"D"):
            return b"".join(lines) + b"deny connection\n"
        if string.startswith(b"+"):
            lines.append(b"set environment variable %b\n" % string[1:])
    return b"".join(lines) + b"allow connection\n"


def tcprulescheck(call: Call) -> int:
    """Look up one connection."""
    if not call.operands:
        raise UsageFailure("")
    path = call.operands[0]
    try:
        with Rules.open(path) as rules:
            found = rules.find(
                call.env.get(b"TCPREMOTEIP", b"0.0.0.0"), call.env.get(b"TCPREMOTEHOST"), call.env.get(b"TCPREMOTEINFO")
            )
    except OSError as e:
        raise TemporaryFailure(f"unable to read {os.fsdecode(path)}: {errtext.text(e)}") from e
    streams.write_all(1, explain(*found) if found else b"default:\nallow connection\n")
    return 0


main = PROGRAM.entry(tcprulescheck)
