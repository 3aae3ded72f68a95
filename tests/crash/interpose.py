"""Between the programs and the system: every call that changes a file passes here first.

The programs call these functions as `os.link(...)`, so that replacing them in the module `os` reaches all of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("link", "unlink", "rename", "write", "pwrite", "fsync", "open", "ftruncate")
Around = Callable[[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


@contextmanager
def interposed(around: Around) -> Iterator[None]:
    """Within the block each call is `around(name, the real function, args, kwargs)`, one at a time."""
    real = {name: getattr(os, name) for name in NAMES}
    lock = threading.RLock()

    def wrap(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with lock:
                return around(name, real[name], args, kwargs)

        return call

    for name in NAMES:
        setattr(os, name, wrap(name))
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)


class Nth:
    """Counts calls, and lets something happen at the n-th (from 1): `kill` the process, or raise an errno.

    `places` notes name and arguments of each call; `tell` is told of it before it is made."""

    def __init__(self, n: int = 0, error: int | None = None, kinds: tuple[str, ...] = NAMES) -> None:
        self.n, self.error, self.kinds = n, error, kinds
        self.places: list[str] = []
        self.tell: Callable[[str], None] = lambda place: None

    def __call__(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name not in self.kinds:
            return real(*args, **kwargs)
        self.places.append(f"{name}{args[:2] if name != 'write' else args[:1]}"[:120])
        self.tell(self.places[-1])
        if len(self.places) == self.n:
            if self.error is None:
                os.kill(os.getpid(), 9)
                threading.Event().wait()  # the signal is on its way
            raise OSError(self.error, os.strerror(self.error or 0), args[0] if isinstance(args[0], bytes) else None)
        return real(*args, **kwargs)
