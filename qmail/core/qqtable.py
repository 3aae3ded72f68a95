"""What the end of a queue program means.  qmail-queue(8), and the table that every caller of it shares.

A result is empty for success, else b"D" (no retry can help) or b"Z" (try again) and a text for people.  Codes that
are not listed are temporary unless they are 11..40: a broken installation must not bounce mail."""

from __future__ import annotations

import os

ADDRESS_TOO_LONG = b"Denvelope address too long for qq (#5.1.3)"
READ_ERROR = b"Zqq read error (#4.3.0)"
NO_FILES = b"Zqq trouble creating files in queue (#4.3.0)"
BUG = b"Zqq internal bug (#4.3.0)"
CRASHED = b"Zqq crashed (#4.3.0)"
SURPRISE = b"Zqq waitpid surprise (#4.3.0)"
OWN_TEXT = 82  # the program wrote its own result on descriptor 6

RESULTS = {
    11: ADDRESS_TOO_LONG,
    115: ADDRESS_TOO_LONG,
    31: b"Dmail server permanently rejected message (#5.3.0)",
    51: b"Zqq out of memory (#4.3.0)",
    52: b"Zqq timeout (#4.3.0)",
    53: b"Zqq write error or disk full (#4.3.0)",
    54: READ_ERROR,
    55: b"Zqq unable to read configuration (#4.3.0)",
    56: b"Zqq trouble making network connection (#4.3.0)",
    61: b"Zqq trouble in home directory (#4.3.0)",
    **dict.fromkeys((62, 63, 64, 65, 66), NO_FILES),
    71: b"Zmail server temporarily rejected message (#4.3.0)",
    72: b"Zconnection to mail server timed out (#4.4.1)",
    73: b"Zconnection to mail server rejected (#4.4.1)",
    74: b"Zcommunication with mail server failed (#4.4.2)",
    81: BUG,
    91: BUG,
    120: b"Zunable to exec qq (#4.3.0)",
}


def result(code: int, wrote_all: bool, text: bytes = b"") -> bytes:
    """Return the result for exit code `code`; `text` is what the program wrote on descriptor 6 (255 bytes count)."""
    if code == 0:
        return b"" if wrote_all else READ_ERROR  # it cannot have seen the end of the envelope
    if code == OWN_TEXT and len(text) > 2:
        text = text[:255]
        return text if text[:1] in (b"D", b"Z") else b"Z" + text[1:]
    if code in RESULTS:
        return RESULTS[code]
    return b"Dqq permanent problem (#5.3.0)" if 11 <= code <= 40 else b"Zqq temporary problem (#4.3.0)"


def code(result: bytes) -> int | None:
    """An exit code that means `result` to every caller; None if only a text of its own can say it."""
    if not result:
        return 0
    return next((number for number, text in RESULTS.items() if text == result), None)


def verdict(status: int, wrote_all: bool, text: bytes = b"") -> bytes:
    """Return the result for wait status `status`."""
    if os.WIFSIGNALED(status):
        return CRASHED
    return result(os.WEXITSTATUS(status), wrote_all, text)
