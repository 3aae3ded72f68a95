"""The two kinds of failure, and what each is called on every interface.

Whatever goes wrong is temporary (the next try may work) or permanent (no retry can help); when in doubt, temporary.
The class carries the exit code (djb's 111 and 100), the letter of a delivery report (qmail-send's Z and D)
and the SMTP code, so that a fault means the same thing wherever it comes out."""

from __future__ import annotations


class Failure(Exception):
    """Something could not be done; str(failure) says what, and why, in one line."""

    exitcode = 111
    letter = b"Z"
    smtp = b"451"


class TemporaryFailure(Failure):
    """The next try may work."""


class PermanentFailure(Failure):
    """No retry can help."""

    exitcode = 100
    letter = b"D"
    smtp = b"554"


class UsageFailure(PermanentFailure):
    """The command line makes no sense: the program prints its usage line, after str(failure) if there is one."""
