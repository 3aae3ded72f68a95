"""What qmail-rspawn makes of qmail-remote's report.  qmail-rspawn(8).

    report     items that end in 0x00: (r | h | s) text for each recipient, then (K | Z | D) text for the message
    delivery   K, Z or D and one text, for qmail-send

qmail-rspawn asks for one recipient at a time, so the first item is that recipient's or, after an early failure, the
message's.  Whether the recipient was refused outweighs what became of the message."""

from __future__ import annotations

import os

RANK = {b"K": 1, b"Z": 0, b"D": -1}
LETTER = {rank: letter for letter, rank in RANK.items()}
RECIPIENT = {b"s": RANK[b"Z"], b"h": RANK[b"D"]}  # r says nothing by itself

CRASHED = b"Zqmail-remote crashed.\n"
SILENT = b"Zqmail-remote produced no output.\n"
UNABLE_NOW = b"ZUnable to run qmail-remote.\n"
UNABLE = b"DUnable to run qmail-remote.\n"


def delivery(status: int, output: bytes) -> bytes:
    """Letter and text, from the wait status and the output.

    Other than the original, only 100 is a permanent failure to run: every other code, Python's own 1 and the shell's
    126 and 127 among them, says that our installation is broken, and that is no reason to bounce mail."""
    if os.WIFSIGNALED(status):
        return CRASHED
    code = os.waitstatus_to_exitcode(status)
    if code:
        return UNABLE if code == 100 else UNABLE_NOW
    return merge(output) if output else SILENT


def merge(output: bytes) -> bytes:
    """Letter and text of a report that is there."""
    items = output.split(b"\0")[:-1]  # what no 0x00 ends is no item
    message = next((RANK[item[:1]] for item in items if item[:1] in RANK), RANK[b"D"])
    final = RECIPIENT.get(output[:1], message)
    text, ended, second = output[1:].partition(b"\0")
    if not ended:
        return LETTER[final]
    if message <= final and second[:1] in RANK:
        text += second[1:].partition(b"\0")[0]
    return LETTER[final] + text
