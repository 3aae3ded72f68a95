"""Move the messages of a maildir to the end of an mbox file.  maildir2mbox(1).

MAILDIR names the maildir, MAIL the mbox, MAILTMP a file on the same file system that becomes the new mbox in one step,
when it is safely on disk; only then the messages go.  Files are below MAILDIR unless absolute.
Exits 0, also when there is nothing to move; 111 if anything fails, and then all messages are still where they were."""

from __future__ import annotations

import fcntl
import os
import time

from qmail.core import datestamp, newmail
from qmail.core.mbox import Quoter
from ucspi.core import errtext, streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

PROGRAM = Program("maildir2mbox", __doc__)

RETURN_PATH = b"Return-Path: <"
BLANKS = bytes.maketrans(b" \t", b"--")


def maildir2mbox(call: Call) -> int:
    """The program."""
    mail, temporary = (_variable(call, name) for name in (b"MAIL", b"MAILTMP"))
    maildir = newmail.directory(call.env)
    messages = newmail.messages(maildir, (b"new", b"cur"), int(time.time()))
    if messages:
        os.umask(0o077)  # 0600: nobody else is to read mail, and its owner can
        # As those who set MAILDIR know it: names are relative to the maildir.
        Move(maildir, mail, temporary).run(messages)
        for _, name in messages:
            _remove(call, maildir, name)
    return 0


def _variable(call: Call, name: bytes) -> bytes:
    value = call.env.get(name)
    if value is None:
        raise TemporaryFailure(f"{name.decode()} not set")
    return value


def _remove(call: Call, maildir: bytes, name: bytes) -> None:
    try:
        os.unlink(maildir + b"/" + name)
    except OSError as e:
        text = b"warning: $MAILDIR/%b will be delivered twice; unable to unlink: %b"
        call.warn(text % (name, errtext.text(e).encode()))


class Move:
    """One run: the old mbox and the messages into a new file, which takes the old one's place."""

    __slots__ = ("_fd", "mail", "maildir", "mbox", "new", "temporary")

    def __init__(self, maildir: bytes, mail: bytes, temporary: bytes) -> None:
        self.maildir, self.mail, self.temporary = maildir, mail, temporary
        self.mbox, self.new = os.path.join(maildir, mail), os.path.join(maildir, temporary)

    def run(self, messages: list[tuple[int, bytes]]) -> None:
        """Raises TemporaryFailure."""
        lock = self._open(self.mbox, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, "lock", self.mail)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as e:
                _fail("lock", self.mail, e)
            self._replace(messages)
        finally:
            os.close(lock)  # not before: who waits for it must find the new file's name

    def _replace(self, messages: list[tuple[int, bytes]]) -> None:
        old = self._open(self.mbox, os.O_RDONLY | os.O_NONBLOCK, "read", self.mail)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK
        try:
            self._fd = self._open(self.new, flags, "create", self.temporary)
        except TemporaryFailure:
            os.close(old)
            raise
        try:
            self._fill(old, messages)
        finally:
            os.close(self._fd)
        self._commit()

    def _fill(self, old: int, messages: list[tuple[int, bytes]]) -> None:
        self._copy(old, self.mail, None)
        for when, name in messages:
            message = self._open(self.maildir + b"/" + name, os.O_RDONLY | os.O_NONBLOCK, "read", b"$MAILDIR/" + name)
            self._copy(message, b"$MAILDIR/" + name, datestamp.mbox(when))
        try:
            os.fsync(self._fd)
        except OSError as e:
            _fail("write to", self.temporary, e)

    def _open(self, path: bytes, flags: int, verb: str, name: bytes) -> int:
        try:
            return os.open(path, flags | os.O_CLOEXEC, 0o600)
        except OSError as e:
            _fail(verb, name, e)

    def _copy(self, fd: int, name: bytes, date: bytes | None) -> None:
        """Add a file, which is closed: as it is, or with a date as a message of an mbox."""
        try:
            self._add(fd, name, date)
        finally:
            os.close(fd)

    def _add(self, fd: int, name: bytes, date: bytes | None) -> None:
        quoter = Quoter()
        started = date is None
        pending = b""
        while True:
            try:
                block = streams.read_some(fd)
            except OSError as e:
                _fail("read", name, e)
            if date is None:
                self._write(block)
            else:
                pending += block
                if not started and (b"\n" in pending or not block):
                    self._write(from_line(pending, date))
                    started = True
                if started:
                    self._write(quoter.feed(pending))
                    pending = b""
            if not block:
                break
        if date is not None:
            self._write(quoter.close())

    def _write(self, data: bytes) -> None:
        try:
            streams.write_all(self._fd, data)
        except OSError as e:
            _fail("write to", self.temporary, e)

    def _commit(self) -> None:
        try:
            # The name may last before its bytes do, hence the order; and the messages may go only when both do.
            os.rename(self.new, self.mbox)
            directory = os.open(os.path.dirname(self.mbox) or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            os.fsync(directory)
            os.close(directory)
        except OSError as e:
            what = f"unable to move {os.fsdecode(self.temporary)} to {os.fsdecode(self.mail)}"
            raise TemporaryFailure(f"{what}: {errtext.text(e)}") from e


def from_line(message: bytes, date: bytes) -> bytes:
    """The From_ line of a message that starts like this, from its Return-Path."""
    first, newline, _ = message.partition(b"\n")
    sender = b"XXX"
    if newline and first.startswith(RETURN_PATH):
        sender = first[len(RETURN_PATH) : -1].translate(BLANKS)
        if first[len(RETURN_PATH) :].startswith(b">"):
            sender = b"MAILER-DAEMON"
    return b"From %b %b\n" % (sender, date)


def _fail(verb: str, name: bytes, error: OSError) -> NoReturn:
    raise TemporaryFailure(f"unable to {verb} {os.fsdecode(name)}: {errtext.text(error)}") from error


main = PROGRAM.entry(maildir2mbox)
