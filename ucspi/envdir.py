"""Run a program with an environment taken from the files of a directory.  envdir(8).

Each file is a variable: its first line without blanks at the end is the value, NUL stands for a newline, an empty file
unsets.  Names starting with a dot are passed over.  Exits 111 for everything, bad usage too."""

from __future__ import annotations

import errno
import os

from ucspi.core import errtext, following, streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Program("envdir", __doc__, usage="envdir dir child", operands="DIR PROGRAM [ARGS]...", usage_exit=111)


def value(content: bytes) -> bytes | None:
    """What a file's content sets its variable to; None: unset."""
    if not content:
        return None
    return content.partition(b"\n")[0].rstrip(b" \t").replace(b"\0", b"\n")


def variables(directory: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """Name and value of each file.  Raises TemporaryFailure."""
    for name in _names(directory):
        path = directory + b"/" + name
        try:
            content = _read(path)
        except FileNotFoundError:
            content = b""  # a dangling link, or gone since: no variable.  (The original takes the value before it.)
        except OSError as e:
            raise _failure("read", path, e) from e
        # A name with "=" in it is a variable up to there, and the start of its value.
        variable, equals, start = name.partition(b"=")
        text = value(content)
        if not equals:
            yield variable, text
        else:
            yield variable, start if text is None else start + b"=" + text


def _names(directory: bytes) -> list[bytes]:
    # The original changes into the directory.  A worker of a pool may not, but what would fail then must fail here.
    try:
        inside = directory + b"/." if directory else b""
        if not os.access(inside, os.X_OK, effective_ids=True):
            os.stat(inside)
            raise PermissionError(errno.EACCES, "no search permission")
    except OSError as e:
        raise _failure("switch to directory", directory, e) from e
    try:
        return [name for name in os.listdir(directory) if not name.startswith(b".")]
    except OSError as e:
        raise _failure("read directory", directory, e) from e


def _read(path: bytes) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return streams.read_all(fd)
    finally:
        os.close(fd)


def _failure(what: str, path: bytes, error: OSError) -> TemporaryFailure:
    return TemporaryFailure(f"unable to {what} {os.fsdecode(path)}: {errtext.text(error)}")


def envdir(call: Call) -> int:
    """Edit the environment and become the program, which is searched in the old PATH."""
    if len(call.operands) < 2:
        raise UsageFailure("")
    for name, text in variables(call.operands[0]):
        if text is None or not name:  # a file "=x": no program could read a variable without a name
            call.env.pop(name, None)
        else:
            call.env[name] = text
    following.run(call, call.operands[1:])


main = PROGRAM.entry(envdir)
