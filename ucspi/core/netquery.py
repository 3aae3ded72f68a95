"""The small clients that ask one question and print the answer: who@ date@ finger@ http@.

They stand for a shell pipeline around tcpclient, and speak with its voice: its messages, and exit code 0 always, as a
pipeline whose last program is cat has."""

from __future__ import annotations

import os

from ucspi.core import command, dialing, newlines, streams
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Filter = Callable[[bytes], bytes]  # a block; b"" is the end


def operand(operands: list[bytes], at: int, default: bytes) -> bytes:
    """A word of the command line, or what is meant without it."""
    return operands[at] if at < len(operands) else default


def ask(host: bytes, port: bytes, question: bytes, env: Mapping[bytes, bytes], show: Filter) -> int:
    """Connect, send the question with CR LF line ends, print what comes back without."""
    fd = -1
    try:
        number = dialing.port_number(port)
        socket = dialing.dial(dialing.addresses(host, env), number, lambda text: command.report("tcpclient", text))
        if socket is not None:
            fd = socket.detach()
            _converse(fd, newlines.add(question), show)
        else:
            streams.write_all(1, show(b""))
    except TemporaryFailure as e:
        command.report("tcpclient", f"fatal: {e}")
    except OSError:
        pass  # gone in mid-answer, or nobody to print for
    finally:
        if fd >= 0:
            os.close(fd)
    return 0


def _converse(fd: int, question: bytes, show: Filter) -> None:
    streams.write_all(fd, question)
    remove = newlines.Remover()
    try:
        for block in streams.blocks(fd):
            streams.write_all(1, show(remove(block)))
    finally:
        streams.write_all(1, show(remove.close()) + show(b""))


def visible(block: bytes) -> bytes:
    """What `cat -v` makes of it: nothing that a terminal would obey."""
    return b"".join(map(_VISIBLE.__getitem__, block))


def _control(byte: int) -> bytes:
    return bytes((byte,)) if 32 <= byte < 127 else b"^?" if byte == 127 else b"^%c" % (byte + 64)


_VISIBLE = [bytes((byte,)) if byte in b"\t\n" else _control(byte) for byte in range(128)]
_VISIBLE += [b"M-" + _control(byte) for byte in range(128)]


class Body:
    """What is behind the first empty line, without any further empty line, and with an LF at its end."""

    __slots__ = ("_behind", "_pending")

    def __init__(self) -> None:
        self._behind = False
        self._pending = b""

    def __call__(self, block: bytes) -> bytes:
        """The next block."""
        if not block and self._pending:
            block = b"\n"
        *lines, self._pending = (self._pending + block).split(b"\n")
        if not self._behind:
            if b"" not in lines:
                return b""
            self._behind = True
            lines = lines[lines.index(b"") :]
        return b"".join([line + b"\n" for line in lines if line])
