"""Start local deliveries for qmail-send: find the user, become him, run qmail-local.  qmail-lspawn(8).

Commands come on descriptor 0, reports go to descriptor 1 (spawnproto).  The argument is what an empty or missing .qmail
file stands for.  Exits 0 at the end of the commands, 100 without an argument, 111 if it cannot begin.

Started by root it becomes the recipient for each delivery, and delivers nothing as root.  A single-user instance runs
as its one user and delivers to that user's addresses alone, root's if root owns it; others have no mailbox there."""

from __future__ import annotations

import errno
import gc
import os

from qmail.core import instance, residents, users
from qmail.core.spawn import Child, Delivery, Spawner
from qmail.core.spawnproto import Command
from ucspi.core import chain, errtext
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAM = Program("qmail-lspawn", __doc__, operands="DEFAULTDELIVERY", title=True)

OWN = "qmail.local"  # our qmail-local's module
TRUNCATE = 3000  # bytes of a report; the rest would only make bounces longer

# How a child says that it did not get as far as qmail-local; below them the report, whatever the output was.
BUG = 112
ROOT = 113
CDB = 117
EXEC_SOFT = 120
EXEC_GETPW = 121
REPORTS = {
    BUG: b"ZInternal qmail-lspawn bug.\n",
    ROOT: b"ZNot allowed to perform deliveries as root.\n",
    users.NFS: b"ZNFS failure in qmail-local.\n",
    users.NO_ALIAS: b"ZUnable to find alias user!\n",
    CDB: b"ZTrouble reading users/cdb in qmail-lspawn.\n",
    users.SYSTEM: b"ZTemporary failure in qmail-lspawn.\n",
    119: b"ZOut of memory in qmail-lspawn.\n",
    EXEC_SOFT: b"ZUnable to run qmail-local.\n",
    # The original takes 126 for permanent.  Here it is also how a child says that it could not be started, and an
    # installation that is broken, or half replaced, must not bounce mail.
    126: b"ZUnable to run qmail-local.\n",
    EXEC_GETPW: b"ZUnable to run qmail-getpw.\n",
}
NO_MAILBOX = b"DSorry, no mailbox here by that name. (#5.1.1)\n"


def report(status: int, output: bytes) -> bytes:
    """The report for qmail-local's wait status.  Codes it never gives are temporary, too: something else is wrong."""
    if os.WIFSIGNALED(status):
        return b"Zqmail-local crashed.\n"
    code = os.WEXITSTATUS(status)
    if code in REPORTS:
        return REPORTS[code]
    return {0: b"K", 100: b"D"}.get(code, b"Z") + output.partition(b"\0")[0]


def run_local(argv: Sequence[bytes], env: Mapping[bytes, bytes], how: chain.Chain) -> int:
    """Our own qmail-local, loaded when it is first needed."""
    return chain.load(OWN)(argv, env, how)


class Setting:
    """What is the same for all deliveries."""

    __slots__ = ("call", "default_delivery", "gid", "instance", "only", "residents", "uid")

    def __init__(self, call: Call, here: instance.Instance, default_delivery: bytes) -> None:
        self.call, self.instance, self.default_delivery = call, here, default_delivery
        self.only = here.owner if here.single else None  # the one user who has addresses here
        self.residents = residents.Residents(run_local, call.env, here.home)
        self.uid, self.gid = (-1, -1) if here.single else (here.uid("qmailp"), here.gid("nofiles"))

    def program(self, name: bytes) -> bytes:
        """One of qmail's programs: that of the instance, else ours."""
        file = self.instance.path(b"bin", name)
        return file if os.path.lexists(file) else name

    def is_ours(self, program: bytes) -> bool:
        """True if this is our own qmail-local, which need not be exec'd.  OSError if it is not there."""
        module = chain.module_of(chain.search(program, self.call.path))
        return module == OWN and chain.EXEC not in self.call.env and chain.LIMITS not in self.call.env

    def become(self, uid: int, gid: int) -> None:
        """Turn a child, which has nothing of its own yet, into that user's."""
        try:
            os.chdir(self.instance.home)
            if os.geteuid() == 0:
                os.setgroups([gid])
                os.setgid(gid)
                os.setuid(uid)
        except (OSError, OverflowError):
            os._exit(BUG)
        if os.getuid() == 0 and self.only != 0:
            os._exit(ROOT)


class LocalDelivery(Delivery):
    """One delivery: perhaps qmail-getpw, then qmail-local."""

    __slots__ = ("asking", "host", "local", "setting", "user")

    def __init__(self, command: Command, setting: Setting) -> None:
        super().__init__(command)
        self.setting = setting
        self.local, _, self.host = command.recipient.rpartition(b"@")
        self.user: users.User | None = None
        self.asking = False

    def start(self, message: int, output: int) -> int | bytes | Child:
        if not self.local:
            return b"K"  # <@host>, and the bounce of a double bounce that goes nowhere: rubbish
        if self.user is None:
            try:
                self.user = users.assigned(self.setting.instance.path(b"users", b"cdb"), self.local)
            except users.Malformed:
                return REPORTS[BUG]
            except OSError:
                return REPORTS[CDB]
        return self._ask(message, output) if self.user is None else self._deliver(self.user, message, output)

    def _ask(self, message: int, output: int) -> int | bytes:
        """Start qmail-getpw, as a user who can do no harm: the password file may be anything behind nsswitch.conf."""
        setting = self.setting
        self.asking = True

        def setup() -> None:
            setting.become(setting.uid, setting.gid)

        argv = [setting.program(b"qmail-getpw"), self.local]
        try:
            return setting.call.spawn(argv, fds={0: message, 1: output}, setup=setup if setting.only is None else None)
        except OSError as e:
            return REPORTS[users.SYSTEM if _no_process(e) else EXEC_GETPW]

    def _deliver(self, user: users.User, message: int, output: int) -> int | bytes | Child:
        setting = self.setting
        if setting.only is not None and user.uid != setting.only:
            return NO_MAILBOX
        if user.uid == 0 and setting.only != 0:
            return REPORTS[ROOT]

        def setup() -> None:
            setting.become(user.uid, user.gid)

        argv = [setting.program(b"qmail-local"), b"--", user.name, user.home, self.local, user.dash, user.ext]
        argv += [self.host, self.command.sender, setting.default_delivery]
        try:
            if setting.is_ours(argv[0]) and sum(map(len, argv)) < residents.LARGEST // 2:
                return setting.residents.start((user.uid, user.gid), setup, argv, message, output)
            return setting.call.spawn(argv, fds={0: message, 1: output, 2: output}, setup=setup)
        except OSError as e:
            if _no_process(e):
                raise
            return REPORTS[EXEC_SOFT]

    def finish(self, status: int, output: bytes) -> bytes | None:
        if not self.asking:
            return report(status, output)
        self.asking = False
        if os.WIFSIGNALED(status):
            return REPORTS[users.SYSTEM]
        code = os.WEXITSTATUS(status)
        if code == users.NO_ALIAS and self.setting.only is not None:
            return NO_MAILBOX
        if code == 126:
            return REPORTS[EXEC_GETPW]
        if code:
            return report(status, b"")
        try:
            self.user = users.User.unpack(output)
        except users.Malformed:
            return REPORTS[BUG]
        return None


def _no_process(error: OSError) -> bool:
    return error.errno in (errno.EAGAIN, errno.ENOMEM)


def lspawn(call: Call) -> int:
    """The program."""
    if not call.operands:
        return 100
    here = instance.of(call.env)
    try:
        os.chdir(here.path(b"queue", b"mess"))
        setting = Setting(call, here, call.operands[0])
        owner = here.owner
    except OSError as e:
        raise TemporaryFailure(f"unable to chdir: {errtext.text(e)}") from e
    # What a delivery needs is loaded once, here: the children are forks, and born warm.
    chain.preload([setting.program(b"qmail-local"), setting.program(b"qmail-getpw")], call.path)
    __import__("cdbx")  # users.assigned is going to need it
    gc.freeze()
    crew = setting.residents
    return Spawner(owner, lambda command: LocalDelivery(command, setting), TRUNCATE, crew.rest).run()


main = PROGRAM.entry(lspawn)
