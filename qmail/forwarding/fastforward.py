"""Forward a message as a table says, from a .qmail file.  fastforward(1).

    | fastforward -d /etc/aliases.cdb

Looks RECIPIENT (with -d: DEFAULT or EXT, @, HOST) up in the table, runs the programs that it names, and queues DTLINE
and the message on descriptor 0 for the addresses.  Exits 0 when all is done (99 with -p), 100 if the table does not
know the recipient (0 with -p) or no retry can help, 111 if one may; -n only says what it would do."""

from __future__ import annotations

import os
import stat

from qmail.core import child, forwardtable
from qmail.core.childcodes import judge
from qmail.core.forwardtable import ADDRESS, COMMAND, IGNORED, LISTS, OWNER
from ucspi.core import errtext, streams
from ucspi.core.command import Call, Flag, Program
from ucspi.core.failure import PermanentFailure, TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.core.forwardtable import Get

PROGRAM = Program(
    "fastforward",
    __doc__,
    options=(
        Flag("n", "Say what would be done."),
        Flag("N", "Do it (default)."),
        Flag(
            "p", "Pass a message on (exit 0) if the table does not know the recipient, stop the .qmail file if it does."
        ),
        Flag("P", "Refuse the message if the table does not know the recipient (default)."),
        Flag("d", "The recipient is DEFAULT@HOST, or EXT@HOST without DEFAULT."),
        Flag("D", "The recipient is RECIPIENT (default)."),
    ),
    usage="fastforward [ -nNpP ] data.cdb",
    operands="CDB",
    preload=("cdbx", "qmail.core.resend"),
)
DONE = 99  # to qmail-local: no further line counts
LISTED = 0o444  # mode bits of a list: what anybody may read, its owner meant to be used
NOBODY = b"original envelope sender"  # printed for a sender that qmail-local did not tell
SAFE = bytes(byte if 32 <= byte < 127 else ord("_") for byte in range(256))


def fastforward(call: Call) -> int:
    """The program."""
    if not call.operands:
        raise UsageFailure
    file = call.operands[0]
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            recipient = _recipient(call)
            from qmail.core.database import Database

            return _forward(call, recipient, Database(fd).get)
        finally:
            os.close(fd)
    except OSError as e:
        raise TemporaryFailure(f"unable to read {os.fsdecode(file)}: {errtext.text(e)}") from e


def _recipient(call: Call) -> bytes:
    env = call.env
    if call.last("dD", "D") == "D":
        if b"RECIPIENT" not in env:
            raise PermanentFailure("$RECIPIENT must be set")
        return env[b"RECIPIENT"]
    local = env.get(b"DEFAULT", env.get(b"EXT"))
    if local is None:
        raise PermanentFailure("$DEFAULT or $EXT must be set")
    if b"HOST" not in env:
        raise PermanentFailure("$HOST must be set")
    return b"%b@%b" % (local, env[b"HOST"])


def _forward(call: Call, recipient: bytes, get: Get) -> int:
    forwarding = Forwarding(call, get)
    passing = call.last("pP", "P") == "p"
    data = forwardtable.find(get, COMMAND, recipient)
    if data is None:
        if passing:
            return 0
        streams.complain(b"Sorry, no mailbox here by that name. (#5.1.1)\n")
        return PermanentFailure.exitcode
    forwarding.expand(recipient, data)
    forwarding.send()
    return DONE if passing else 0


class Forwarding:
    """One message: who sends it now, and to whom."""

    def __init__(self, call: Call, get: Get) -> None:
        self._call, self._get = call, get
        self._real = call.last("nN", "N") == "N"
        self._sender = call.env.get(b"SENDER", NOBODY)
        self._recipients: list[bytes] = []
        self._todo: list[bytes] = []  # "&" addresses and lists, last in first out

    def expand(self, recipient: bytes, data: bytes) -> None:
        """Run the programs, collect the addresses.  Raises Failure, OSError."""
        if self._sender not in (b"", b"#@[]"):  # bounces have no owner
            owner = forwardtable.find(self._get, OWNER, recipient)
            if owner is not None:
                self._sender = owner
        self._obey(data)
        seen = {recipient}
        while self._todo:
            entry = self._todo.pop()
            if entry in seen:
                continue
            seen.add(entry)
            if entry.startswith(LISTS):
                self._todo += _list(entry)
            else:
                self._address(entry[1:])

    def _address(self, address: bytes) -> None:
        """Expand an address that the table knows as it stands, unless it has an owner, who has a right to bounces."""
        key = address.lower()
        data = None if self._get(OWNER + key) is not None else self._get(COMMAND + key)
        if data is None:
            self._recipients.append(address)
        else:
            self._obey(data)

    def _obey(self, data: bytes) -> None:
        for command in forwardtable.unpack(data):
            first = command[:1]
            if first in LISTS or _is_fit(command):
                self._todo.append(command)
            elif first in (b"|", b"!"):
                self._run(command)

    def _run(self, command: bytes) -> None:
        if not self._real:
            self._say(b"run " + command)
            return
        argv = [b"sh", b"-c", command[1:]]
        try:
            pid = child.start(self._call, argv if command.startswith(b"|") else [b"preline", *argv])
        except OSError as e:
            raise TemporaryFailure(f"unable to run {os.fsdecode(command[1:])}: {errtext.text(e)}") from e
        try:
            code = child.finish(pid)
        except TemporaryFailure:
            raise TemporaryFailure(f"child crashed in {os.fsdecode(command)}") from None
        judge(code)
        try:
            os.lseek(0, 0, os.SEEK_SET)
        except OSError as e:
            raise TemporaryFailure(f"unable to rewind input: {errtext.text(e)}") from e

    def send(self) -> None:
        """Queue the message.  Raises Failure."""
        recipients = self._recipients[::-1]
        if not self._real:
            self._tell(recipients)
        elif recipients:
            from qmail.core.resend import resend  # the queue is most of what there is to import

            qp = resend(self._call, self._call.env.get(b"DTLINE", b""), self._sender, recipients)
            self._call.warn(b"qp %d" % qp)

    def _tell(self, recipients: list[bytes]) -> None:
        if not recipients:
            self._say(b"no forwarding")
            return
        self._say(b"from <%b>" % self._sender)
        for recipient in recipients:
            self._say(b"to <%b>" % recipient)

    def _say(self, text: bytes) -> None:
        streams.complain(text.translate(SAFE) + b"\n")


def _list(name: bytes) -> list[bytes]:
    """The entries of a binary list.  Raises TemporaryFailure."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(fd).st_mode
            if stat.S_IMODE(mode) & LISTED != LISTED:
                raise TemporaryFailure(f"{os.fsdecode(name)} is not world-readable")
            data = streams.read_all(fd)
        finally:
            os.close(fd)
    except OSError as e:
        raise TemporaryFailure(f"unable to read {os.fsdecode(name)}: {errtext.text(e)}") from e
    return [entry for entry in data.split(b"\0")[:-1] if entry.startswith(LISTS) or _is_fit(entry)]


def _is_fit(entry: bytes) -> bool:
    return entry.startswith(ADDRESS) and len(entry) < IGNORED


main = PROGRAM.entry(fastforward)
