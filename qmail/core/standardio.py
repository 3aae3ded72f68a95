"""Descriptors 0 and 1 of programs that turn one into the other, with djb's words for what goes wrong."""

from __future__ import annotations

from ucspi.core import errtext, streams
from ucspi.core.failure import TemporaryFailure


def read_input() -> bytes:
    """All of descriptor 0.  Raises TemporaryFailure."""
    try:
        return streams.read_all(0)
    except OSError as e:
        raise TemporaryFailure(f"unable to read input: {errtext.text(e)}") from e


def write_output(text: bytes) -> None:
    """Print on descriptor 1.  Raises TemporaryFailure."""
    try:
        streams.write_all(1, text)
    except OSError as e:
        raise TemporaryFailure(f"unable to write output: {errtext.text(e)}") from e
