"""Every system call that changes a file: the program stops before it, or it fails.  The mail arrives all the same.

`system` is qmail-queue, qmail-send, qmail-clean and the deliveries as one process (machine.py); the programs also run
each by itself, qmail-send with qmail-clean and a spawn program played by the test."""

from __future__ import annotations

import errno
import os
import random
import signal
import stat
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import pytest

from qmail.clean import main as qmail_clean
from qmail.local import main as qmail_local
from qmail.queue import main as qmail_queue
from tests.crash.interpose import Nth, interposed
from tests.crash.machine import Machine, make_home
from tests.crash.mail import FAR, GONE, MAILDIR, MBOX, NOBODY, SENDER, Message, age, forbidden, judge, states
from tests.crash.sending import qmail_send
from tests.crash.size import FULL, SEED
from tests.support import queues
from ucspi.core import chain

SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
ERRORS = {"stop": None, "EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EINTR": errno.EINTR, "EMFILE": errno.EMFILE}
DEADLINE = 20  # seconds for one run in a child
MESSAGES = [
    Message("one"),
    Message("two", (MAILDIR, MBOX), 70000),
    Message("straight", (MAILDIR,)),
    Message("back", (NOBODY,)),
    Message("away", (FAR,)),
    Message("refused", (GONE,)),
]
ANSWERED = 77  # exit code of a child that did all it was asked


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="crash", dir=SHM) as name:
        yield make_home(Path(name))


def child(work: Callable[[int], None]) -> tuple[int, list[str]]:
    """Run `work` in a fork; its exit code, -9 if killed, and the lines it wrote to the descriptor it is given."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(DEADLINE)
            os.close(ours)
            work(theirs)
            os._exit(ANSWERED)
        finally:
            os._exit(111)
    os.close(theirs)
    with open(ours, "rb") as file:
        said = file.read().decode().split("\n")[:-1]
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def faults(calls: int, what: str) -> list[int]:
    """Which of the calls are tried: all, or in the quick form some."""
    chosen = range(1, calls + 1)
    return list(chosen) if FULL else sorted(random.Random(f"{SEED}{what}").sample(chosen, min(calls, 12)))


def finish(home: Path, accepted: set[str], sink: list[bytes], note: object) -> Counter[str]:
    """Bring the system up as it should be, and look."""
    before = forbidden(states(home / "queue"))
    machine = Machine(home, sink.append)
    machine.run()
    machine.close()
    verdict = judge(MESSAGES, accepted, home, sink)
    left = {kinds for kinds in states(home / "queue").values() if not kinds <= {"mess", "intd"}}
    age(home / "queue")
    machine = Machine(home, sink.append)
    machine.run()
    machine.close()
    after = states(home / "queue")
    assert not (verdict.wrong or left or after or before), (note, verdict.wrong, left, after, before)
    assert not os.listdir(home / "queue/pid"), note
    return Counter(duplicates=verdict.duplicates, runs=1)


def clean(home: Path) -> None:
    for folder in ("Maildir", "Bounces"):
        for part in ("tmp", "new"):
            for path in (home / folder / part).iterdir():
                path.unlink()
    (home / "mbox").unlink(missing_ok=True)


def each_call(home: Path, what: str, run: Callable[[Path, Nth], tuple[set[str], list[bytes], list[str]]]) -> None:
    """`run` does the work under an Nth; it says what was accepted, what went away, and the calls that were made."""
    total = Counter[str]()
    calls = len(run(home, Nth())[2])
    finish(home, set(), [], "nothing")
    assert calls
    for name, error in ERRORS.items():
        for n in faults(calls, what + name):
            clean(home)
            accepted, sink, places = run(home, Nth(n, error))
            total += finish(home, accepted, sink, (what, name, n, places[-1:]))
    print(f"\n{what}: {calls} calls, {total['runs']} runs, {total['duplicates']} duplicates")


def result(said: list[str]) -> tuple[set[str], list[bytes], list[str]]:
    """What a child told: `+name` was accepted, `>text` went away, `.call` was made."""
    sink = [bytes.fromhex(line[1:]) for line in said if line[0] == ">"]
    return {line[1:] for line in said if line[0] == "+"}, sink, [line[1:] for line in said if line[0] == "."]


def teller(fd: int, nth: Nth) -> Callable[[str], None]:
    write = os.write

    def tell(line: str) -> None:
        write(fd, (line + "\n").encode())

    nth.tell = lambda place: tell("." + place.replace("\n", " "))
    return tell


def run_system(home: Path, nth: Nth) -> tuple[set[str], list[bytes], list[str]]:
    def work(fd: int) -> None:
        tell = teller(fd, nth)
        with interposed(nth):
            machine = Machine(home, lambda text: tell(">" + text.hex()))
            for message in MESSAGES:
                if machine.submit(message):
                    tell("+" + message.name)
            machine.run()

    return result(child(work)[1])


def test_the_whole_system_at_every_call(home: Path) -> None:
    each_call(home, "system", run_system)


def run_queue(home: Path, nth: Nth) -> tuple[set[str], list[bytes], list[str]]:
    message, log = MESSAGES[1], home / "calls"
    envelope = b"F%b\0" % SENDER + b"".join(b"T%b\0" % to for to in message.recipients) + b"\0"

    def setup() -> None:
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(fd, 250)  # out of the way of what the program opens
        os.close(fd)
        teller(250, nth)
        held.append(interposed(nth))  # were it dropped, it would be left at once
        held[0].__enter__()

    held: list[AbstractContextManager[None]] = []
    env = {b"QMAILHOME": os.fsencode(home)}
    status = queues.run(qmail_queue, [b"qmail-queue"], env, message=message.text, envelope=envelope, setup=setup)
    places = result(log.read_text().split("\n")[:-1])[2]
    return {message.name} if status == 0 else set(), [], places


def test_qmail_queue_at_every_call(home: Path) -> None:
    each_call(home, "qmail-queue", run_queue)


def run_local(home: Path, nth: Nth) -> tuple[set[str], list[bytes], list[str]]:
    """Delivers from a queue of its own kind: a file; when it fails it is tried again, as qmail-send would."""
    message = MESSAGES[1]
    (home / ".qmail").write_bytes(b"%b/\n%b\n" % (os.fsencode(home / "Maildir"), os.fsencode(home / "mbox")))
    os.chmod(home, 0o755)
    env = {b"QMAILHOME": os.fsencode(home)}
    argv = [b"qmail-local", b"u", os.fsencode(home), b"box", b"", b"", b"here.example", SENDER, b"./Maildir/"]
    said: list[str] = []
    for attempt in (nth, Nth()):

        def work(fd: int, attempt: Nth = attempt) -> None:
            teller(fd, attempt)
            with tempfile.TemporaryFile() as file:
                file.write(message.text)
                file.flush()
                os.dup2(file.fileno(), 0)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            with interposed(attempt):
                code = chain.Process().run(qmail_local, argv, env)
            os._exit(code)

        code, lines = child(work)
        said = said or lines
        assert code in (0, 111, -9), (code, lines[-3:])
        if code == 0:
            return {message.name}, [], result(said)[2]
    raise AssertionError("the second attempt fails, too")


def test_qmail_local_at_every_call(home: Path) -> None:
    each_call(home, "qmail-local", run_local)


def run_clean(home: Path, nth: Nth) -> tuple[set[str], list[bytes], list[str]]:
    """Is asked to remove an unfinished message, and the todo of another one, which thereby is lost on purpose."""
    machine = Machine(home, lambda text: None)
    assert machine.submit(MESSAGES[0])
    ((one, _),) = states(home / "queue").items()
    for kind in ("intd", "todo"):
        os.unlink(home / "queue" / kind / str(one))
    assert machine.submit(MESSAGES[1])
    (two,) = set(states(home / "queue")) - {one}
    machine.close()

    def work(fd: int) -> None:
        teller(fd, nth)
        (commands, ask), (_, answers) = os.pipe(), os.pipe()
        os.write(ask, b"foop/%d\0todo/%d\0" % (one, two))
        os.close(ask)
        os.dup2(commands, 0)
        os.dup2(answers, 1)
        with interposed(nth):
            chain.Process().run(qmail_clean, [b"qmail-clean"], {b"QMAILHOME": os.fsencode(home)})

    places = result(child(work)[1])[2]
    kinds = states(home / "queue").get(two, frozenset())
    return {MESSAGES[1].name} if "todo" in kinds else set(), [], places


def test_qmail_clean_at_every_call(home: Path) -> None:
    each_call(home, "qmail-clean", run_clean)


def run_send(home: Path, nth: Nth) -> tuple[set[str], list[bytes], list[str]]:
    machine = Machine(home, lambda text: None)
    for message in MESSAGES:
        assert machine.submit(message)
    machine.close()
    sink: list[bytes] = []
    places = qmail_send(home, nth, sink)
    return {message.name for message in MESSAGES}, sink, places


def test_qmail_send_at_every_call(home: Path) -> None:
    each_call(home, "qmail-send", run_send)


class LostPages:
    """The n-th fsync of a file fails, as it does once when the kernel has lost pages of it, and calls it clean then."""

    def __init__(self, n: int) -> None:
        self.n, self.count = n, 0
        self.failed: os.stat_result | None = None
        self.written = False  # since then
        self.again: list[str] = []
        self.kept: BinaryIO | None = None

    def __call__(self, name: str, real: Callable[..., int], args: tuple[int, ...], kwargs: dict[str, int]) -> int:
        if name not in ("fsync", "write", "pwrite"):
            return real(*args, **kwargs)
        about = os.fstat(args[0])
        if self.failed and os.path.samestat(about, self.failed):
            self.written = self.written or name != "fsync"
            if name == "fsync" and not self.written:
                self.again.append(os.readlink(f"/proc/self/fd/{args[0]}"))
        elif name == "fsync" and stat.S_ISREG(about.st_mode):
            self.count += 1
            if self.count == self.n:
                self.failed = about
                self.kept = open(f"/proc/self/fd/{args[0]}", "rb")  # so that no other file gets its number
                raise OSError(errno.EIO, "lost pages")
        return real(*args, **kwargs)


def test_no_file_is_fsynced_again_that_was_not_written_anew(home: Path) -> None:
    def run(n: int) -> LostPages:
        lost, sink = LostPages(n), list[bytes]()
        with interposed(lost):
            machine = Machine(home, sink.append)
            accepted = {message.name for message in MESSAGES if machine.submit(message)}
            machine.run()
            machine.close()
        finish(home, accepted, sink, ("lost pages", n))
        clean(home)
        return lost

    count = run(0).count
    assert count > 20
    for n in faults(count, "fsync"):
        lost = run(n)
        if lost.kept:
            lost.kept.close()
        assert lost.failed is not None or n > lost.count
        assert lost.again == []
