"""The .qmail file of an address: which one it is, and what its lines say.  dot-qmail(5), qmail-local(8).

    .qmail DASH EXT                        the address itself; EXT in lower case with ":" for "."
    .qmail DASH EXT[:i] "default"          for i from the end to 0, where i is 0 or EXT[i-1] is "-"

A line is taken by its first byte; blanks and tabs at its end do not count, those at its start do:

    "#"        a comment          "|"        a program: the rest is for sh          "&"       forward to the rest
    "." "/"    a maildir if it ends in "/", else an mbox file                       (else)    forward to the line
    "+list"    from here on nothing but forwarding; "+" and anything else is left for later versions to use"""

from __future__ import annotations

import errno
import os
import stat

from ucspi.core import errtext, streams
from ucspi.core.failure import PermanentFailure, TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FORBIDDEN = 0o002  # mode bits of a home or a .qmail file that anybody could have changed; conf-patrn

MAILDIR = b"maildir"
MBOX = b"mbox"
PROGRAM = b"program"
FORWARD = b"forward"
FORWARD_ONLY = b"+list"


class Instructions:
    """A .qmail file that was found.

    `default` is the part of the extension that a `...default` file stands for, None for any other file;
    `forward_only` is set by the file's owner-execute bit."""

    __slots__ = ("default", "forward_only", "text")

    def __init__(self, text: bytes, forward_only: bool, default: bytes | None) -> None:
        self.text, self.forward_only, self.default = text, forward_only, default


def safe(ext: bytes) -> bytes:
    """The extension as it stands in file names: no "." can lead upwards."""
    return ext.lower().replace(b".", b":")


def candidates(dash: bytes, ext: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """File names in the order they are tried, each with what `default` stands for in it."""
    name = safe(ext)
    # A file that was asked for by the very name ...default is one too.
    yield b".qmail" + dash + name, ext[len(ext) - 7 :] if name.endswith(b"default") else None
    for end in range(len(name), -1, -1):
        if end == 0 or name[end - 1 : end] == b"-":
            yield b".qmail" + dash + name[:end] + b"default", ext[end:]


def choose(dash: bytes, ext: bytes) -> Instructions | None:
    """The first of the candidates that is there, from the current directory; None if none is.  Raises Failure."""
    for name, default in candidates(dash, ext):
        found = _read(name, default)
        if found is not None:
            return found
    return None


def _read(name: bytes, default: bytes | None) -> Instructions | None:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as e:
        # What may be there and cannot be seen must not let a less special file take the mail.
        if errtext.is_temporary(e) or e.errno in (errno.EPERM, errno.EACCES):
            raise _unable(name, e) from None
        return None
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            return None
        if mode & FORBIDDEN:
            raise TemporaryFailure("Uh-oh: .qmail file is writable. (#4.7.0)")
        return Instructions(streams.read_all(fd), bool(mode & stat.S_IXUSR), default)
    except OSError as e:
        raise _unable(name, e) from None
    finally:
        os.close(fd)


def _unable(name: bytes, error: OSError) -> TemporaryFailure:
    return TemporaryFailure(f"Unable to open {os.fsdecode(name)}: {errtext.text(error)}. (#4.3.0)")


def new_sender(sender: bytes, local: bytes, host: bytes, dash: bytes, ext: bytes) -> bytes:
    """Who hears of trouble with forwarded mail: the list's owner if `-owner` is there.  Raises TemporaryFailure."""
    if sender in (b"", b"#@[]"):  # a bounce, a double bounce: nobody
        return sender
    name = b".qmail" + dash + safe(ext) + b"-owner"
    if not _exists(name):
        return sender
    if _exists(name + b"-default"):
        return b"%b-owner-@%b-@[]" % (local, host)  # qmail-send puts each recipient in: VERP
    return b"%b-owner@%b" % (local, host)


def _exists(name: bytes) -> bool:
    try:
        os.stat(name)
    except OSError as e:
        if errtext.is_temporary(e):
            raise _unable(name, e) from None
        return False
    return True


def lines(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What the lines ask for, in order: one of the kinds above and its argument.  Raises TemporaryFailure.

    Lines are read one at a time: what is wrong with a later one is no matter while an earlier is carried out."""
    if not text.endswith(b"\n"):
        text += b"\n"
    for number, whole in enumerate(text.split(b"\n")[:-1]):
        line = whole.rstrip(b" \t").partition(b"\0")[0]  # no program, file or address can have a NUL in it
        first = line[:1]
        if not line:
            if number == 0:
                raise TemporaryFailure("Uh-oh: first line of .qmail file is blank. (#4.2.1)")
        elif first == b"#":
            pass
        elif first in (b".", b"/"):
            yield MAILDIR if line.endswith(b"/") else MBOX, line
        elif first == b"|":
            yield PROGRAM, line[1:]
        elif first == b"+":
            if line == b"+list":
                yield FORWARD_ONLY, b""
        else:
            yield FORWARD, line[1:] if first == b"&" else line


def instructions(found: Instructions | None, dash: bytes, default_delivery: bytes) -> tuple[bytes, bool]:
    """Text to carry out, and whether it may forward only.  Raises PermanentFailure if there is no such address."""
    if found is None and dash:
        raise PermanentFailure("Sorry, no mailbox here by that name. (#5.1.1)")
    if found is None or not found.text:
        return default_delivery, False
    return found.text, found.forward_only
