"""A message on its way through a .qmail file, queued again for somebody else.  forward(1), condredirect(1)."""

from __future__ import annotations

import os

from qmail.core import instance, submit
from ucspi.core import errtext, streams
from ucspi.core.failure import PermanentFailure, TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ucspi.core.command import Call


def variable(call: Call, name: bytes) -> bytes:
    """What qmail-local tells its programs.  Raises PermanentFailure if it did not."""
    value = call.env.get(name)
    if value is None:
        raise PermanentFailure(f"{os.fsdecode(name)} not set")
    return value


def resend(call: Call, delivered_to: bytes, sender: bytes, recipients: Sequence[bytes]) -> int:
    """Queue `delivered_to` and what is left on descriptor 0; return the qp number.  Raises Failure."""
    try:
        queue = submit.open_queue(call, instance.of(call.env))
    except OSError as e:
        raise TemporaryFailure(f"unable to fork: {errtext.text(e)}") from e
    queue.write(delivered_to)
    try:
        for block in streams.blocks(0):
            queue.write(block)
    except OSError as e:
        queue.abandon()
        raise TemporaryFailure(f"unable to read message: {errtext.text(e)}") from e
    result = queue.close(sender, recipients)
    if result:
        failure = PermanentFailure if result.startswith(b"D") else TemporaryFailure
        raise failure(os.fsdecode(result[1:]))
    return queue.qp
