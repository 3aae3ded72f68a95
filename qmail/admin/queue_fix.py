"""Check a queue, and repair it.  queue-fix(8).

    queue-fix [-r] [-c] [--json] [queue]

One line for each thing that is wrong.  With -r it is put right: directories and files are made, get their owners and
modes, move to where they belong; messages of a copied or restored queue get the numbers of their inodes; what cannot be
understood is put aside, below aside/ in the queue.  No mail is ever deleted.

A repair needs the queue to itself: qmail-send must not run.  A check may be made at any time.

Exits 0 if nothing is (or stays) wrong, 100 if something is, 111 if the queue cannot be checked or repaired."""

from __future__ import annotations

import os
import pwd
import time

from qmail.core import instance, queuecheck, queuefiles
from qmail.core.queuecheck import Accounts
from qmail.core.queuedir import Queue
from qmail.core.queuerepair import Repair
from qmail.core.queuescan import Scan
from ucspi.core import errtext, streams
from ucspi.core.command import Call, Flag, Long, Program
from ucspi.core.failure import TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qmail.core.queuecheck import Problem

PROGRAM = Program(
    "queue-fix",
    __doc__,
    options=(
        Flag("r", "Repair what is wrong."),
        Flag("c", "A queue of qmailq and qmails, whoever owns it now."),
        Long("json", "As a JSON object."),
    ),
    usage="queue-fix [ -rc ] [ --json ] [ queue ]",
    operands="[QUEUE]",
)


def queue_fix(call: Call) -> int:
    """The program."""
    if len(call.operands) > 1:
        raise UsageFailure
    path = os.path.abspath(call.operands[0]) if call.operands else instance.of(call.env).queue
    os.stat(path + b"/.")
    queue = Queue(path)
    check = Check(call, queue, _accounts(queue, bool(call.last("c"))))
    check.run()
    if call.given("json"):
        check.print_json()
    return 0 if all(each.repaired or each.remedy == queuecheck.NOTHING for each in check.problems) else 100


def _accounts(queue: Queue, classic: bool) -> Accounts:
    """Who must own it: the accounts of a classic installation, or its one owner.  Raises UnknownAccount."""
    owner = os.stat(queue.path).st_uid
    try:
        owners = {pwd.getpwuid(os.stat(queue.at(name)).st_uid).pw_name for name in (b"", b"info")}
    except (KeyError, OSError):
        owners = set()
    if not (classic or owners & {"qmailq", "qmails"}):
        return Accounts(dict.fromkeys(("qmailq", "qmails", "qmailr"), owner))
    uids = {name: instance.uid_of(name) for name in ("qmailq", "qmails", "qmailr")}
    return Accounts(uids, instance.gid_of("qmail"))


class Check:
    """One run: four steps, each with its repairs before the next."""

    def __init__(self, call: Call, queue: Queue, accounts: Accounts) -> None:
        self._call, self._queue, self._accounts = call, queue, accounts
        self._text = not call.given("json")
        self.problems: list[Problem] = []
        self.messages = 0
        self.running = False
        self._mutex = -1
        self._repair: Repair | None = None

    def run(self) -> None:
        """Raises OSError or TemporaryFailure."""
        wanted = bool(self._call.last("r"))
        try:
            self._lock(wanted)
            if wanted:
                stamp = time.strftime("%Y%m%d.%H%M%S", time.gmtime()) + f".{os.getpid()}"
                self._repair = Repair(Scan(self._queue), stamp.encode())
            self._step(lambda found: queuecheck.tree(found, self._accounts))
            if self._mutex < 0:
                self._lock(wanted)  # it was missing, perhaps
            self._step(queuecheck.names)
            self._step(queuecheck.numbers, together=True)
            self._step(lambda found: queuecheck.states(found, self._accounts))
            self.messages = len(Scan(self._queue).files[b"mess"])
        finally:
            if self._mutex >= 0:
                os.close(self._mutex)

    def _lock(self, wanted: bool) -> None:
        try:
            self._mutex = queuefiles.take_mutex(self._queue)
        except BlockingIOError:
            self.running = True
            if wanted:
                raise TemporaryFailure("qmail-send is running; stop it before a repair") from None
        except OSError:
            return  # missing, or we may not: the check will say so
        if self._mutex >= 0 and not wanted:
            os.close(self._mutex)  # nobody shall wait for a check
            self._mutex = -1

    def _step(self, check: Callable[[Scan], Iterable[Problem]], together: bool = False) -> None:
        problems = list(check(Scan(self._queue)))
        if problems and not self._repair:
            # Mail is on its way: only what is still there at a second look is wrong.
            again = set(check(Scan(self._queue)))
            problems = [problem for problem in problems if problem in again]
        self.problems += problems
        if self._repair:
            self._repair.scan = Scan(self._queue)
            if together and problems:
                self._repair.renumber(problems)
        for problem in problems:
            if self._repair and not problem.repaired:
                self._apply(self._repair, problem)
            if self._text:
                self._print(problem)
        if self._repair:
            self._repair.sync()

    def _apply(self, repair: Repair, problem: Problem) -> None:
        try:
            repair.apply(problem)
        except OSError as e:
            self._call.warn(b"%b: unable to repair: %b" % (problem.name, errtext.text(e).encode()))

    def _print(self, problem: Problem) -> None:
        name = problem.name.translate(_PRINTABLE)
        after = f": {problem.remedy}" if problem.repaired else ""
        streams.write_all(1, b"%b: %b%b\n" % (name, problem.text.encode(), after.encode()))

    def print_json(self) -> None:
        """The whole report."""
        import json  # 5 ms, and only for scripts

        problems = [
            {
                "kind": each.kind, "name": os.fsdecode(each.name), "text": each.text,
                "remedy": each.remedy, "repaired": each.repaired,
            }
            for each in self.problems
        ]  # fmt: skip
        report = {
            "queue": os.fsdecode(self._queue.path), "qmail-send": "running" if self.running else "not running",
            "messages": self.messages, "problems": problems,
        }  # fmt: skip
        streams.write_all(1, json.dumps(report).encode() + b"\n")


# A file's name must not steer the terminal.
_PRINTABLE = bytes(byte if 32 < byte <= 126 else ord("_") for byte in range(256))

main = PROGRAM.entry(queue_fix)
