"""Deliver one message to one local address, as its .qmail file says.  qmail-local(8), dot-qmail(5).

Reads the message, which must be seekable, from descriptor 0.  What descriptors 1 and 2 hear becomes the report that
qmail-send logs, or sends back.  With -n it only says what it would do.  Exits 0 when all is delivered, 100 when no
retry can help, 111 when one may; nothing already done is undone then."""

from __future__ import annotations

import errno
import os
import time

from qmail.core import dotqmail, instance, maildir, mbox
from qmail.core.childcodes import judge
from qmail.core.recipient import Recipient, has_line
from ucspi.core import errtext, streams
from ucspi.core.command import Call, Flag, Program
from ucspi.core.failure import Failure, PermanentFailure, TemporaryFailure, UsageFailure

PROGRAM = Program(
    "qmail-local",
    __doc__,
    options=(Flag("n", "Say what would be done."), Flag("N", "Deliver (default).")),
    usage="qmail-local [ -nN ] user homedir local dash ext domain sender aliasempty",
    operands="USER HOMEDIR LOCAL DASH EXT DOMAIN SENDER ALIASEMPTY",
    preload=("qmail.core.submit",),
)

DONE = 99  # delivered, and no further line counts
SH = b"/bin/sh"


def local(call: Call) -> int:
    """The program."""
    if len(call.operands) != 8 or not call.operands[1].startswith(b"/"):
        raise UsageFailure
    os.umask(0o077)
    try:
        delivery = Delivery(call)
        delivery.prepare(time.time())
        delivery.carry_out()
    except Failure as e:
        # No "qmail-local: fatal:": the sender is going to read it.
        if str(e):
            streams.complain(os.fsencode(f"{e}\n"))
        return e.exitcode
    streams.write_all(1, delivery.summary())
    return 0


class Delivery:
    """One run: what is being delivered, and how much of it has been."""

    def __init__(self, call: Call) -> None:
        self.call = call
        user, home, local, dash, ext, host, self.sender, self.default_delivery = call.operands
        self.to = Recipient(user, home, local, dash, ext, host)
        self.real = call.last("nN", "N") == "N"
        self.text, self.forward_only = b"", False
        self.files = self.forwards = self.programs = 0
        self.maildirs = 0
        self.recipients: list[bytes] = []
        self.qp = 0

    def prepare(self, now: float) -> None:
        """Go home, look whether all is well there, find the instructions.  Raises Failure."""
        to, env = self.to, self.call.env
        try:
            os.chdir(to.home)
        except OSError as e:
            text = f"Unable to switch to {os.fsdecode(to.home)}: {errtext.text(e)}. (#4.3.0)"
            raise TemporaryFailure(text) from e
        self._check_home()
        env.update(to.environment(self.sender, now))
        if self.real:
            self._check_loop()
        found = dotqmail.choose(to.dash, to.ext)
        if found is not None and found.default is not None:
            env[b"DEFAULT"] = found.default
        self.text, self.forward_only = dotqmail.instructions(found, to.dash, self.default_delivery)
        env[b"NEWSENDER"] = dotqmail.new_sender(self.sender, to.local, to.host, to.dash, to.ext)

    def _check_home(self) -> None:
        try:
            mode = os.stat(b".").st_mode
        except OSError as e:
            raise TemporaryFailure(f"Unable to stat home directory: {errtext.text(e)}. (#4.3.0)") from e
        if mode & dotqmail.FORBIDDEN:
            raise TemporaryFailure("Uh-oh: home directory is writable. (#4.7.0)")
        if mode & 0o1000:
            if self.real:
                raise TemporaryFailure("Home directory is sticky: user is editing his .qmail file. (#4.2.1)")
            streams.complain(b"Warning: home directory is sticky.\n")

    def _check_loop(self) -> None:
        rewind()
        try:
            if has_line(self.to.delivered_to(), streams.blocks(0)):
                text = "This message is looping: it already has my Delivered-To line. (#5.4.6)"
                raise PermanentFailure(text)
        except OSError as e:
            raise TemporaryFailure(f"Unable to read message: {errtext.text(e)}. (#4.3.0)") from e

    def carry_out(self) -> None:
        """Do what the lines say, in their order; forward last, to all addresses at once.  Raises Failure."""
        for kind, argument in dotqmail.lines(self.text):
            if kind == dotqmail.FORWARD_ONLY:
                self.forward_only = True
            elif kind == dotqmail.FORWARD:
                self.forwards += 1
                self.recipients.append(argument)
                self._say(kind, argument)
            elif kind == dotqmail.PROGRAM:
                self.programs += 1
                if not self._run(argument):
                    break
            else:
                self.files += 1
                self._file(kind, argument)
        if self.recipients and self.real:
            self._forward()

    def _say(self, kind: bytes, argument: bytes) -> None:
        if not self.real:
            streams.write_all(1, b"%b %b\n" % (kind, argument))

    def _file(self, kind: bytes, name: bytes) -> None:
        if self.forward_only:
            raise TemporaryFailure("Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)")
        self._say(kind, name)
        if not self.real:
            return
        rewind()
        env = self.call.env
        header = env[b"RPLINE"] + env[b"DTLINE"]
        if kind == dotqmail.MAILDIR:
            maildir.deliver(name, header, 0, self.maildirs)
            self.maildirs += 1
        else:
            mbox.deliver(name, env[b"UFLINE"] + header, 0)

    def _run(self, command: bytes) -> bool:
        """Run a program; False if it says that all is done."""
        if self.forward_only:
            raise TemporaryFailure("Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)")
        self._say(dotqmail.PROGRAM, command)
        if not self.real:
            return True
        rewind()
        code = self._wait(self._start(command))
        if code == DONE:
            return False
        judge(code)
        return True

    def _start(self, command: bytes) -> int:
        hide_descriptors()
        try:
            return self.call.spawn([SH, b"-c", command])
        except OSError as e:
            what = "fork" if e.errno in (errno.EAGAIN, errno.ENOMEM) else f"run {os.fsdecode(SH)}"
            raise TemporaryFailure(f"Unable to {what}: {errtext.text(e)}. (#4.3.0)") from e

    def _wait(self, pid: int) -> int:
        status = os.waitpid(pid, 0)[1]
        if os.WIFSIGNALED(status):
            raise TemporaryFailure("Aack, child crashed. (#4.3.0)")
        return os.WEXITSTATUS(status)

    def _forward(self) -> None:
        from qmail.core import submit  # the queue is most of what there is to import, and most mail is not forwarded

        rewind()
        try:
            queue = submit.open_queue(self.call, instance.of(self.call.env))
        except OSError as e:
            raise TemporaryFailure(f"Unable to fork: {errtext.text(e)}. (#4.3.0)") from e
        queue.write(self.call.env[b"DTLINE"])
        try:
            for block in streams.blocks(0):
                queue.write(block)
        except OSError:
            queue.fail()
        result = queue.close(self.call.env[b"NEWSENDER"], self.recipients)
        if result:
            failure = PermanentFailure if result.startswith(b"D") else TemporaryFailure
            raise failure(f"Unable to forward message: {os.fsdecode(result[1:])}.")
        self.qp = queue.qp

    def summary(self) -> bytes:
        """What was done, for the log."""
        did = b"did %d+%d+%d\n" % (self.files, self.forwards, self.programs)
        return did + b"qp %d\n" % self.qp if self.qp else did


def rewind() -> None:
    """Every instruction gets the message from its start."""
    try:
        os.lseek(0, 0, os.SEEK_SET)
    except OSError as e:
        raise TemporaryFailure("Unable to rewind message. (#4.3.0)") from e


def hide_descriptors() -> None:
    """Programs get descriptors 0, 1 and 2: what else came to us from whoever started the system is not theirs."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2:
                os.set_inheritable(int(name), False)
        except OSError:
            continue  # the directory's own, gone by now


main = PROGRAM.entry(local)
