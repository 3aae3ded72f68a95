"""qmail-queue, qmail-send, qmail-clean and the deliveries of qmail-local as one process, one thread and a clock.

The parts are the programs' own; only what starts and joins them is of the tests.  So that a test can stop the whole
machine before any system call, or write all of them down, and bring it up again in a millisecond."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from qmail.clean import answer
from qmail.core import logline, maildir, mbox, queuefiles
from qmail.core.backlog import Backlog
from qmail.core.channel import Channel
from qmail.core.cleaner import forget
from qmail.core.control import Control
from qmail.core.deliveries import Deliveries
from qmail.core.firsttry import FirstTries
from qmail.core.instance import Instance
from qmail.core.preprocess import Todo
from qmail.core.queuedir import Queue, Refused, Trigger, receive
from qmail.core.reception import Reception
from qmail.core.settings import Settings
from qmail.core.spawnproto import Command, CommandReader, pack_report
from qmail.core.submit import InProcess
from qmail.core.sweep import Sweep
from qmail.core.windup import WindUp
from tests.crash.mail import FAR, MAILDIR, MBOX, SENDER, Message
from tests.support.instance import make_instance
from ucspi.core.failure import Failure

PATIENCE = 5000  # seconds of the machine's own time that retries may take
TURNS = 20000


def make_home(directory: Path) -> Path:
    """An instance with a queue and mailboxes."""
    home = make_instance(directory, me="here.example", locals="here.example")
    make_mailboxes(home)
    return home


def make_mailboxes(home: Path) -> None:
    for folder in ("Maildir", "Bounces"):
        for part in ("tmp", "new", "cur"):
            (home / folder / part).mkdir(parents=True, exist_ok=True)


class Log(logline.Log):
    """Keeps the lines.  Never sleeps."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def __call__(self, line: bytes) -> None:
        self.lines.append(line)

    def flush(self) -> None:
        pass

    def stall(self, text: bytes) -> None:
        self.lines.append(text)


class Cleaner:
    """qmail-clean, at the other end of no pipe.  It answers a turn later."""

    lost = full = False

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.asked: list[tuple[bytes, Callable[[bool, int], None]]] = []
        queuefiles.remove_old_pids(queue, int(time.time()))
        queuefiles.remove_old_envelopes(queue, int(time.time()))

    def ask(self, name: bytes, then: Callable[[bool, int], None] = forget) -> None:
        self.asked.append((name, then))

    def take_answers(self, now: int) -> None:
        asked, self.asked = self.asked, []
        for name, then in asked:
            then(answer(self._queue, name) == b"+", now)


class Deliverer:
    """What qmail-local and qmail-remote do.  What goes to another host is given to `send_away`."""

    def __init__(self, home: Path, send_away: Callable[[bytes], None]) -> None:
        self.home, self.send_away = home, send_away
        self.queue = Queue(os.fsencode(home / "queue"))
        self.serial = 0

    def deliver(self, command: Command) -> tuple[bytes, bytes]:
        """Deliver; letter and text of the report."""
        try:
            fd = os.open(self.queue.at(b"mess/" + command.messid), os.O_RDONLY)
        except OSError:
            return b"Z", b"unable to open message\n"
        header = b"Return-Path: <%b>\nDelivered-To: %b\n" % (command.sender, command.recipient)
        self.serial += 1
        try:
            if command.recipient in (MAILDIR, SENDER):
                folder = b"Maildir" if command.recipient == MAILDIR else b"Bounces"
                maildir.deliver(os.fsencode(self.home / "") + b"/" + folder, header, fd, self.serial)
            elif command.recipient == MBOX:
                mbox.deliver(os.fsencode(self.home / "mbox"), b"From x Fri Jan 02 03:04:05 2026\n" + header, fd)
            elif command.recipient == FAR:
                self.send_away(b"".join(iter(lambda: os.read(fd, 65536), b"")))
            else:
                return b"D", b"No such mailbox.\n"
        except Failure as failure:
            return failure.letter, str(failure).encode() + b"\n"
        finally:
            os.close(fd)
        return b"K", b""


class Machine(Deliverer):
    """One life of the mail system of `home`."""

    def __init__(self, home: Path, send_away: Callable[[bytes], None]) -> None:
        super().__init__(home, send_away)
        instance = Instance(os.fsencode(home))
        self.reception = Reception(instance)
        self.log = Log()
        self.now = int(time.time())
        self.until = self.now + PATIENCE
        self._pipes: list[int] = []
        settings = Settings(Control(instance.control))
        self.cleaner = cleaner = Cleaner(self.queue)
        self.channels, self.spawns = [], []
        for index in (0, 1):
            commands, reports = os.pipe(), os.pipe()
            self._pipes += [*commands, *reports]
            for fd in (commands[0], reports[0]):
                os.set_blocking(fd, False)
            self.channels.append(Channel(index, commands[1], reports[0], 5, self.log))
            self.spawns.append((commands[0], reports[1], CommandReader()))
        self.backlog = Backlog(self.queue, self.log)
        self.backlog.load(self.now)
        first = FirstTries(self.channels, self.backlog.channels)
        for number in self.backlog.half_done:
            first.ordinary(number)
        self.deliveries = Deliveries(self.channels, self.queue, self.backlog, first, settings, self.log)
        self.trigger = Trigger(self.queue)
        todo = (self.queue, self.trigger, cleaner, self.backlog, first, settings, self.log, self.now)
        self.todo = Todo(*todo)  # type: ignore[arg-type]
        self.windup = WindUp(
            self.queue,
            self.backlog,
            cleaner,
            first,
            settings,
            self.log,
            lambda: InProcess(self.reception),  # type: ignore[arg-type]
        )
        self.sweep = Sweep(self.queue, cleaner, self.log, self.now)  # type: ignore[arg-type]

    def close(self) -> None:
        self.todo.disk.close()
        self.trigger.close()
        for fd in self._pipes:
            os.close(fd)

    def submit(self, message: Message) -> bool:
        """What qmail-queue does with a message; True if it would exit 0."""
        half = len(message.text) // 2
        envelope = b"F%b\0" % SENDER + b"".join(b"T%b\0" % to for to in message.recipients) + b"\0"
        try:
            arrival = self.reception.arrival(os.getuid(), os.getpid())
            receive(arrival, (message.text[:half], message.text[half:]), (envelope,))
        except Refused:
            return False
        return True

    def run(self) -> None:
        """Turn after turn until nothing is left to do, with the clock put forward where only time has to pass."""
        for _ in range(TURNS):
            self._turn(pulled=_ == 0)
            if self.todo.disk.busy:
                time.sleep(0)
                continue
            if self.cleaner.asked or any(channel.used for channel in self.channels):
                continue
            # The daily walk and the timed scans are not work that waits: they are left out.
            later = self.deliveries.wake(self.backlog.wake(self.until + 1))
            wake = min(later, self.todo.wake(self.until + 1) or self.now, self.sweep.wake(self.until + 1) or self.now)
            if wake > self.now:
                if later > self.until and not self._todo_left():
                    return
                if wake > self.until:
                    return
                self.now = wake
        raise AssertionError(f"the machine does not come to rest: {self.log.lines[-20:]}")

    def _todo_left(self) -> bool:
        return bool(os.listdir(self.queue.at(b"todo")))

    def _turn(self, pulled: bool) -> None:
        now = self.now
        self.cleaner.take_answers(now)
        self.deliveries.start_due(now)
        self.todo.work(now, pulled)
        self.deliveries.start_due(now)
        for channel, (commands, reports, reader) in zip(self.channels, self.spawns, strict=True):
            try:
                data = os.read(commands, 65536)
            except BlockingIOError:
                continue
            for command in reader.feed(data):
                os.write(reports, pack_report(command.delnum, *self.deliver(command)))
            self.deliveries.take_reports(channel, now)
        self.deliveries.note_held(now)
        self.backlog.rejudge(now)
        self.windup.work(now)
        self.sweep.work(now)
