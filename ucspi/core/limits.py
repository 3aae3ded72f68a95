"""Soft resource limits, and what an interpreter needs on top of them.  softlimit(1).

An administrator who writes `softlimit -m 20000000` means 20 MB for the program's work.  A Python interpreter maps
about as much before its first statement.  So for a program of ours the memory limits are taken on top of what this
process and the modules of the coming chain use already; for any other program the numbers are exact.

Such a program may come later in the same chain (softlimit, our tcpserver, somebody's qmail-smtpd).  So the exact
numbers travel with the chain in the environment variable UCSPI_LIMITS, as `as=20000000 data=20000000`; whoever execs or
spawns a foreign program calls `foreign`, which takes the variable out and imposes what it says."""

from __future__ import annotations

import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VARIABLE = b"UCSPI_LIMITS"
UNLIMITED = (1 << 64) - 1
STACK = 8 << 20  # CPython's recursion limit is made for the 8 MiB that systems give by default
# The limits that an interpreter's own size counts against, by the name they have in VARIABLE.
MEMORY = {resource.RLIMIT_AS: b"as", resource.RLIMIT_DATA: b"data", resource.RLIMIT_STACK: b"stack"}
_NAMED = {name: number for number, name in MEMORY.items()}


def hard(number: int) -> int:
    """The hard limit, as an unsigned number."""
    return resource.getrlimit(number)[1] % (1 << 64)


def set_soft(number: int, soft: int) -> None:
    """Set a soft limit; above the hard limit it is lowered to it.  Raises OSError."""
    # Before 3.14 the module's numbers are signed, so that RLIM_INFINITY is -1.
    signed = min(soft, hard(number))
    if resource.RLIM_INFINITY < 0 and signed >= 1 << 63:
        signed -= 1 << 64
    try:
        resource.setrlimit(number, (signed, resource.getrlimit(number)[1]))
    except ValueError as e:  # the module's word for EINVAL and for a hard limit lowered meanwhile
        raise PermissionError(1, str(e)) from e


def set_on_top(exact: Mapping[int, int]) -> None:
    """Set memory limits for a program of ours that runs, or starts, in an interpreter as big as this one."""
    own = baseline()
    for number, soft in exact.items():
        wanted = soft + own.get(number, 0)
        if number == resource.RLIMIT_STACK:
            wanted = max(wanted, STACK)
        set_soft(number, min(wanted, UNLIMITED))


def baseline() -> dict[int, int]:
    """What this process has mapped, per limit."""
    with open("/proc/self/statm", "rb", buffering=0) as statm:
        pages = [int(word) for word in statm.read(256).split()]
    page = resource.getpagesize()
    return {resource.RLIMIT_AS: pages[0] * page, resource.RLIMIT_DATA: pages[5] * page}


def lift(env: Mapping[bytes, bytes]) -> dict[int, int]:
    """Lift memory limits that somebody else's softlimit has set, which knows nothing of interpreters; return them.

    They are soft limits, which a process may raise.  A hard limit is meant as it stands."""
    soft, most = resource.getrlimit(resource.RLIMIT_AS)
    if VARIABLE in env or soft in (resource.RLIM_INFINITY, most):
        return {}
    exact = {}
    for number in MEMORY:
        soft, most = resource.getrlimit(number)
        if soft not in (resource.RLIM_INFINITY, most):
            exact[number] = soft
            set_soft(number, hard(number))
    return exact


def adopt(exact: Mapping[int, int], env: dict[bytes, bytes]) -> None:
    """Set them again as our softlimit would have: on top of what this process uses now."""
    set_on_top(exact)
    env[VARIABLE] = pack(exact)


def pack(exact: Mapping[int, int]) -> bytes:
    """VARIABLE's value."""
    return b" ".join(b"%b=%d" % (MEMORY[number], soft) for number, soft in exact.items())


def unpack(value: bytes) -> dict[int, int]:
    """What VARIABLE says; words of another form (somebody else's variable) are left out."""
    exact: dict[int, int] = {}
    for word in value.split():
        name, _, digits = word.partition(b"=")
        if name in _NAMED and digits.isdigit() and len(digits) <= 20:
            exact[_NAMED[name]] = min(int(digits), UNLIMITED)
    return exact


def foreign(env: Mapping[bytes, bytes]) -> tuple[dict[bytes, bytes], Callable[[], None] | None]:
    """For a program that is none of ours: the environment it may see, and a function that imposes its limits.

    The function is for the process that becomes the program, as the last thing before the exec."""
    seen = dict(env)
    exact = unpack(seen.pop(VARIABLE, b""))
    if not exact:
        return seen, None

    def impose() -> None:
        for number, soft in exact.items():
            set_soft(number, soft)

    return seen, impose
