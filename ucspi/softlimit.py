"""Run a program with lower soft limits.  softlimit(8).

Options are taken from left to right, a later one overrides; `=` means the hard limit.  Hard limits stay as they are.
A program of ours gets the memory limits on top of what its interpreter needs, see ucspi/core/limits.py.
Exits 100 on bad usage, 111 if a limit cannot be set or the program cannot be run."""

from __future__ import annotations

import resource

from ucspi.core import chain, errtext, following, limits, scan
from ucspi.core.command import Call, Program, Value
from ucspi.core.failure import TemporaryFailure, UsageFailure

RESOURCES = {
    "a": (resource.RLIMIT_AS,),
    "c": (resource.RLIMIT_CORE,),
    "d": (resource.RLIMIT_DATA,),
    "f": (resource.RLIMIT_FSIZE,),
    "l": (resource.RLIMIT_MEMLOCK,),
    "m": (resource.RLIMIT_DATA, resource.RLIMIT_STACK, resource.RLIMIT_MEMLOCK, resource.RLIMIT_AS),
    "o": (resource.RLIMIT_NOFILE,),
    "p": (resource.RLIMIT_NPROC,),
    "r": (resource.RLIMIT_RSS,),
    "s": (resource.RLIMIT_STACK,),
    "t": (resource.RLIMIT_CPU,),
}

PROGRAM = Program(
    "softlimit",
    __doc__,
    options=(
        Value("a", "ALLBYTES", "All memory: data, stack, mapped files."),
        Value("c", "COREBYTES", "Core dumps."),
        Value("d", "DATABYTES", "The data segment."),
        Value("f", "FILEBYTES", "Each file written."),
        Value("l", "LOCKBYTES", "Locked memory."),
        Value("m", "MEMBYTES", "Each of -d -s -l -a."),
        Value("o", "OPENFILES", "Open descriptors."),
        Value("p", "PROCESSES", "Processes of this uid."),
        Value("r", "RESIDENTBYTES", "Resident memory (Linux ignores it)."),
        Value("s", "STACKBYTES", "The stack."),
        Value("t", "CPUSECS", "Processor time."),
    ),
    usage="softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes] [-m membytes]"
    " [-o openfiles] [-p processes] [-r residentbytes] [-s stackbytes] [-t cpusecs] child",
    operands="PROGRAM [ARGS]...",
)


def wanted(call: Call) -> dict[int, int]:
    """Each resource named by an option, and its soft limit."""
    soft: dict[int, int] = {}
    for letter, value in call.options:
        for number in RESOURCES[letter]:
            soft[number] = _bound(number, value or b"")
    return soft


def _bound(number: int, value: bytes) -> int:
    try:
        hard = limits.hard(number)
    except OSError as e:
        raise TemporaryFailure(f"getrlimit failed: {errtext.text(e)}") from e
    if value == b"=":
        return hard
    if value and not scan.is_number(value):
        raise UsageFailure("")
    return min(scan.number(value), hard)


def softlimit(call: Call) -> int:
    """Set the limits and become the program."""
    soft = wanted(call)
    if not call.operands:
        raise UsageFailure("")
    name = call.operands[0]
    try:
        ours = chain.module_of(chain.search(name, call.path)) is not None
    except OSError as e:
        raise following.cannot_run(name, e) from e
    # Those of an outer softlimit that this one does not name hold on.
    exact = limits.unpack(call.env.get(limits.VARIABLE, b""))
    exact.update((number, soft.pop(number)) for number in limits.MEMORY if number in soft)
    if exact:
        call.env[limits.VARIABLE] = limits.pack(exact)
    if ours:
        # Import what the chain is going to need now: that counts as the interpreter's own, and needs descriptors.
        chain.preload(call.operands, call.path)
    try:
        for number, value in soft.items():
            limits.set_soft(number, value)
        if ours:
            limits.set_on_top(exact)
    except OSError as e:
        raise TemporaryFailure(f"setrlimit failed: {errtext.text(e)}") from e
    following.run(call, call.operands)


main = PROGRAM.entry(softlimit)
