"""Is there such a mailbox?  Asked when a server hears RCPT, if the administrator wants that; off by default.

RCPTCHECK in the environment (one check; empty: none), else each line of control/rcptcheck, in turn:

    mailbox              what qmail-lspawn and qmail-local would find: virtualdomains, users/cdb, accounts, .qmail files
    PROGRAM [ARG]...     is asked; run as it is, without a shell.  Exit codes below

A check answers b"" or a refusal (qmail.protocol.incoming).  When in doubt that is temporary; but what this process
lacks the right to look at it does not judge: such a recipient is accepted, as it would be without a check."""

from __future__ import annotations

import errno
import os
import stat

from qmail.core import dotqmail, settings, users
from qmail.core.logline import LOCAL
from ucspi.core import streams
from ucspi.core.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from qmail.core.control import Control
    from qmail.core.instance import Instance
    from qmail.core.rewrite import Routes
    from qmail.protocol.incoming import Recipient
    from ucspi.core.command import Call

    Check = Callable[[Recipient], bytes]

NO_MAILBOX = b"550 sorry, no mailbox here by that name. (#5.1.1)"
TROUBLE = b"451 sorry, I can't find out whether there is such a mailbox (#4.3.0)"
TOO_MUCH = b"452 you have exceeded your messaging limits (#4.3.0)"

# Exit codes of a program.  Any that is not here, and a crash, is trouble: the installation is broken.
ACCEPT, REFUSE, LATER, IGNORE, LIMIT = 0, 100, 111, 112, 113
OUTCOMES = {ACCEPT: b"", IGNORE: b"", REFUSE: NO_MAILBOX, LATER: TROUBLE, LIMIT: TOO_MUCH}
PATIENCE = 30  # seconds for a program
TEXT = 4  # the descriptor on which a program may say why
LONGEST_TEXT = 255
_PRINTABLE = bytes(byte if 32 <= byte <= 126 else ord("?") for byte in range(256))


def load(call: Call, home: Instance, control: Control) -> list[Check]:
    """The checks that this connection's recipients are to pass.  Raises OSError."""
    env = call.env
    if b"RELAYCLIENT" in env and b"RCPTCHECKRELAYCLIENT" not in env:
        return []
    given = env.get(b"RCPTCHECK")
    words = (control.entries(b"rcptcheck") or []) if given is None else [given]
    checks: list[Check] = []
    for line in words:
        argv = line.split()
        if argv == [b"mailbox"]:
            checks.append(Mailboxes(home, control))
        elif argv:
            checks.append(Asked(call, home, argv))
    return checks


class Mailboxes:
    """The built-in check.  Reads the tables once, at the first recipient."""

    __slots__ = ("_control", "_home", "_routes")

    def __init__(self, home: Instance, control: Control) -> None:
        self._home, self._control = home, control
        self._routes: Routes | None = None

    def __call__(self, question: Recipient) -> bytes:
        """Mail that goes elsewhere is nothing that we can judge."""
        try:
            if self._routes is None:
                self._routes = settings.Settings(self._control).routes
            channel, address = self._routes.rewrite(question.address)
            local = address.rpartition(b"@")[0]
            return b"" if channel != LOCAL or not local else self._judge(local)
        except (OSError, Failure, users.Malformed):
            return TROUBLE

    def _judge(self, local: bytes) -> bytes:
        user = users.assigned(self._home.path(b"users", b"cdb"), local)
        single = self._home.single
        if user is None:
            import pwd

            try:
                user = users.account(local, pwd.getpwnam)
            except users.Lookup as error:
                if error.code == users.NO_ALIAS and single:
                    return NO_MAILBOX
                raise
        if single and user.uid != self._home.owner:
            return NO_MAILBOX
        if user.uid == 0 and not single:
            return TROUBLE  # nothing is delivered as root
        return b"" if not user.dash or _has_instructions(user) else NO_MAILBOX


def _has_instructions(user: users.User) -> bool:
    """Is there a .qmail file, or may it be that we cannot see it?  Raises OSError."""
    try:
        os.stat(user.home + b"/.")
        for name, _ in dotqmail.candidates(user.dash, user.ext):
            try:
                if stat.S_ISREG(os.stat(b"%b/%b" % (user.home, name)).st_mode):
                    return True
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP):
                    raise
    except PermissionError:
        return True
    return False


class Asked:
    """A program's check.  It is told SENDER, RECIPIENT and HELO in its environment."""

    __slots__ = ("_argv", "_call")

    def __init__(self, call: Call, home: Instance, argv: list[bytes]) -> None:
        """A name with a slash in it is relative to home; any other is looked for in PATH."""
        self._call = call
        self._argv = [os.path.join(home.home, argv[0]) if b"/" in argv[0] else argv[0], *argv[1:]]

    def __call__(self, question: Recipient) -> bytes:
        said = {b"SENDER": question.sender, b"RECIPIENT": question.address, b"HELO": question.helo or b""}
        env = {**self._call.env, **{name: value.partition(b"\0")[0] for name, value in said.items()}}
        try:
            code, text = self._ask(env)
        except OSError:
            return TROUBLE
        refusal = OUTCOMES.get(code, TROUBLE)
        return refusal[:4] + text if refusal and text else refusal

    def _ask(self, env: dict[bytes, bytes]) -> tuple[int, bytes]:
        """Exit code (-1: it crashed, or took too long), and the first line of what it said.  Raises OSError."""
        reader, writer = os.pipe()
        try:
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            try:
                pid = self._call.spawn(self._argv, env, fds={0: null, 1: null, TEXT: writer})
            finally:
                os.close(null)
                os.close(writer)
            ended = _wait(pid, PATIENCE)
            if not ended:
                os.kill(pid, 9)
            status = os.waitpid(pid, 0)[1]
            os.set_blocking(reader, False)  # others may hold the pipe open
            try:
                text = os.read(reader, LONGEST_TEXT)
            except BlockingIOError:
                text = b""
        finally:
            os.close(reader)
        code = os.waitstatus_to_exitcode(status) if ended else -1
        return code, text.partition(b"\n")[0].translate(_PRINTABLE)


def _wait(pid: int, seconds: float) -> bool:
    """Wait for a child's end, but do not reap it.  False if that takes too long."""
    fd = os.pidfd_open(pid)
    try:
        streams.wait_readable(fd, seconds)
        return True
    except TimeoutError:
        return False
    finally:
        os.close(fd)
