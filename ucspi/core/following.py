"""The last step of a chain program: become the next one, or say why not."""

from __future__ import annotations

import errno
import os

from ucspi.core import chain, errtext
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from ucspi.core.command import Call


def run(call: Call, argv: Sequence[bytes], env: Mapping[bytes, bytes] | None = None) -> NoReturn:
    """Become argv[0] with environment `env` (default: the call's).  Raises TemporaryFailure with the usual words."""
    try:
        call.execute(argv, env)
    except OSError as e:
        raise cannot_run(argv[0], e) from e


def run_as(call: Call, name: bytes, argv: Sequence[bytes]) -> NoReturn:
    """Become the program `name`, which is told any argv but an empty argv[0]: CPython's execve refuses that."""
    try:
        file = chain.search(name, call.path)
        if not argv[0]:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        call.chain.become(file, list(argv), call.env)
    except OSError as e:
        raise cannot_run(name, e) from e


def cannot_run(name: bytes, error: OSError) -> TemporaryFailure:
    """What every chain program says."""
    return TemporaryFailure(f"unable to run {os.fsdecode(name)}: {errtext.text(error)}")
