"""Copies of mail that is passed on: archives/, a maildir in the spool, for the addresses that `archive` names.

A file is the message as it was received, below its envelope (keeping.py)."""

from __future__ import annotations

import os

from qmail.core.queuedir import sync_directory
from qmail.scanner import keeping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qmail.scanner.settings import Settings


def directory(spool: bytes) -> bytes:
    """The maildir."""
    return spool + b"/archives"


def keep(
    wanted: Settings, name: bytes, sender: bytes, recipients: Sequence[bytes], blocks: Iterable[bytes]
) -> bytes | None:
    """Keep a copy, if there is to be one.  Returns its path, or None; raises OSError, and left nothing."""
    if not wanted.archives([sender, *recipients]):
        return None
    return keeping.keep(directory(wanted.spool), name, keeping.envelope(sender, recipients), blocks)


def forget(copy: bytes | None) -> None:
    """The message was not passed on after all.  A copy that cannot be removed is one too many, which does no harm."""
    if copy is None:
        return
    try:
        os.unlink(copy)
        sync_directory(os.path.dirname(copy))
    except OSError:
        pass
