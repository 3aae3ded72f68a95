"""Obey a sendmail-style .forward file, from a .qmail file.  dot-forward(1).

    | dot-forward .forward

The first of the files that is there and says something counts.  Programs get UFLINE, RPLINE, DTLINE and the message;
addresses get it from NEWSENDER.  Exits 0 when qmail-local is to go on with the next line (there was nothing, or the
user's own address stands in it), 99 when all is done, 100 or 111 when something went wrong."""

from __future__ import annotations

import os

from qmail.core import aliases, child
from qmail.core.childcodes import judge
from qmail.protocol.aliasline import lines, words
from qmail.protocol.token822 import Malformed
from ucspi.core import errtext, streams
from ucspi.core.command import Call, Flag, Program
from ucspi.core.failure import Failure, TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.core.defaultnames import DefaultNames
    from qmail.protocol.aliasline import Word

PROGRAM = Program(
    "dot-forward",
    __doc__,
    options=(Flag("n", "Say what would be done."), Flag("N", "Do it (default).")),
    usage="dot-forward [ -nN ] file ...",
    operands="[FILE]...",
    preload=("qmail.core.resend",),
)
GO_ON = 0  # to qmail-local: the next line counts too
DONE = 99  # no further line counts
SH = b"/bin/sh"


def dot_forward(call: Call) -> int:
    """The program."""
    forwarding = Forwarding(call, aliases.names(call.env))
    for name in call.operands:
        text = _read(name)
        if text is None:
            continue
        forwarding.obey(text)
        if forwarding.busy:
            return forwarding.finish()
        forwarding.say(b"skipping empty file " + name)
    forwarding.say(b"direct delivery")
    return GO_ON


class Forwarding:
    """What has been asked for, and in part done."""

    def __init__(self, call: Call, names: DefaultNames) -> None:
        self._call, self._names = call, names
        self._real = call.last("nN", "N") == "N"
        env = call.env
        user = env.get(b"USER", b"").lower()
        self._self = (user, b"%b@%b" % (user, env.get(b"HOST", b"").lower()))
        self._recipients: list[bytes] = []
        self._direct = self._ran = False

    @property
    def busy(self) -> bool:
        """Was anything asked for?"""
        return self._direct or self._ran or bool(self._recipients)

    def say(self, text: bytes) -> None:
        """With -n."""
        if not self._real:
            streams.complain(text + b"\n")

    def obey(self, text: bytes) -> None:
        """Run the programs of a file, in its order; remember its addresses.  Raises Failure."""
        for line in lines(text):
            if line.startswith(b"#"):
                continue
            try:
                for word in words(line, includes=False):
                    if word.text:
                        self._word(word)
            except Malformed as e:
                raise aliases.unreadable(line) from e

    def _word(self, word: Word) -> None:
        mine = self._self[1] if word.at else self._self[0]
        if word.text.lower() == mine:
            self._direct = True
            return
        aliases.refuse_file(word)
        if aliases.is_program(word):
            self._ran = True
            self._run(word.text[1:].partition(b"\0")[0])
            return
        # A NUL ends what the envelope can hold.
        address = self._names.complete(word.text, word.at).partition(b"\0")[0]
        self._recipients.append(address)
        self.say(b"forward " + address)

    def _run(self, command: bytes) -> None:
        self.say(b"pipe through " + command)
        if not self._real:
            return
        env = self._call.env
        try:
            program = child.Fed(self._call, [SH, b"-c", command])
        except OSError as e:
            raise TemporaryFailure(f"unable to fork: {errtext.text(e)}") from e
        try:
            program.write([b"".join(env.get(name, b"") for name in (b"UFLINE", b"RPLINE", b"DTLINE"))])
            program.write(streams.blocks(0))
        except BrokenPipeError:
            pass  # it has seen enough: what it says of it is its exit code
        except OSError as e:
            program.kill()
            raise TemporaryFailure(f"unable to read message: {errtext.text(e)}") from e
        judge(program.finish())
        try:
            os.lseek(0, 0, os.SEEK_SET)
        except OSError as e:
            raise TemporaryFailure(f"unable to rewind input: {errtext.text(e)}") from e

    def finish(self) -> int:
        """Forward; return the exit code.  Raises Failure."""
        if self._recipients and self._real:
            self._forward()
        if self._direct:
            self.say(b"direct delivery")
        return GO_ON if self._direct else DONE

    def _forward(self) -> None:
        from qmail.core.resend import resend  # the queue is most of what there is to import

        env = self._call.env
        try:
            qp = resend(self._call, env.get(b"DTLINE", b""), env.get(b"NEWSENDER", b""), self._recipients)
        except Failure as e:
            raise type(e)(f"unable to forward message: {e}") from e
        self._call.warn(b"info: qp %d" % qp)


def _read(name: bytes) -> bytes | None:
    """The content of a file, None if there is none.  Raises TemporaryFailure."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as e:
        raise TemporaryFailure(f"unable to open {os.fsdecode(name)}: {errtext.text(e)}") from e
    try:
        return streams.read_all(fd)
    except OSError as e:
        raise TemporaryFailure(f"unable to read {os.fsdecode(name)}: {errtext.text(e)}") from e
    finally:
        os.close(fd)


main = PROGRAM.entry(dot_forward)
