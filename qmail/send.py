"""Deliver the queue: take new messages in, start deliveries, note their reports, bounce, remove.  qmail-send(8).

qmail-start runs it, with descriptors 0 log, 1 and 2 to and from qmail-lspawn, 3 and 4 to and from qmail-rspawn,
5 and 6 to and from qmail-clean.  There is one per queue.

HUP rereads control/locals and control/virtualdomains, ALRM tries everything at once, TERM ends it when the deliveries
that are out are done.  Exits 0 after TERM, or when a spawn program or qmail-clean is gone; 111 when it cannot start."""

from __future__ import annotations

import os
import select
import signal
import time

from qmail.core import instance, logline, queuefiles, submit
from qmail.core.backlog import Backlog
from qmail.core.channel import Channel
from qmail.core.cleaner import Cleaner
from qmail.core.clock import Clock
from qmail.core.control import Control
from qmail.core.controlsocket import ControlSocket
from qmail.core.deliveries import Deliveries
from qmail.core.firsttry import FirstTries
from qmail.core.intervening import Interventions
from qmail.core.preprocess import Todo
from qmail.core.queuedir import Queue, Trigger
from qmail.core.settings import CannotRead, Settings, reroute
from qmail.core.sweep import Sweep
from qmail.core.windup import WindUp
from ucspi.core.command import Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from ucspi.core.command import Call

PROGRAM = Program("qmail-send", __doc__, title=True)

LOG = 0
SPAWN = ((1, 2), (3, 4))  # commands out, reports in: local, remote
CLEAN = (5, 6)
LONGEST_SLEEP = 86400
FUZZ = 1  # seconds slept beyond the time aimed at: a clock that is read a little early must not make us spin


class CannotStart(Exception):
    """str() is what follows `alert: cannot start: `."""


class Signals:
    """TERM, ALRM and HUP as flags, and a descriptor that becomes readable with each, so that no wake-up is lost."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.pending: set[int] = set()
        self._old = {
            number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGHUP)
        }
        self._old_wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.pending.add(number)

    def take(self, number: int) -> bool:
        """Has this signal come since it was last asked for?"""
        if number not in self.pending:
            return False
        self.pending.discard(number)
        return True

    def drain(self) -> None:
        """Make the descriptor unreadable until the next signal.  Before the flags are looked at."""
        try:
            while os.read(self.fd, 512):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Leave the signals as they were found."""
        signal.set_wakeup_fd(self._old_wakeup)
        for number, old in self._old.items():
            signal.signal(number, old)
        os.close(self.fd)
        os.close(self._write)


class Send:
    """The parts, put together, and the loop that gives each its turn."""

    def __init__(self, call: Call, home: instance.Instance, log: logline.Log, signals: Signals) -> None:
        """Raises CannotStart."""
        self.log, self.signals, self.home, self.clock = log, signals, home, Clock()
        self._was_ahead = False
        self.control = Control(home.control)
        self.settings = self._configure()
        queue = Queue(home.queue)
        self.mutex = _take_mutex(queue)
        limits = _handshake(self.settings)
        self.control_socket = ControlSocket(queue)
        self.cleaner = Cleaner(*CLEAN, log)
        self.channels = [Channel(i, *SPAWN[i], limits[i], log) for i in range(len(SPAWN))]
        now = int(time.time())
        self.backlog = Backlog(queue, log)
        self.backlog.load(now)
        self.first = first = FirstTries(self.channels, self.backlog.channels)
        for number in self.backlog.half_done:
            first.ordinary(number)
        self.deliveries = Deliveries(self.channels, queue, self.backlog, first, self.settings, log)
        self.deliveries.status()
        self.trigger = Trigger(queue)
        self.todo = Todo(queue, self.trigger, self.cleaner, self.backlog, first, self.settings, log, now)
        self.windup = WindUp(
            queue, self.backlog, self.cleaner, first, self.settings, log, lambda: submit.open_queue(call, home)
        )
        self.sweep = Sweep(queue, self.cleaner, log, now)
        self.interventions = Interventions(queue, self.backlog, self.deliveries, self.settings, log)

    def _configure(self) -> Settings:
        try:
            os.stat(self.home.home + b"/.")
        except OSError:
            raise CannotStart("unable to switch to home directory") from None
        try:
            settings = Settings(self.control)
        except (OSError, CannotRead):
            raise CannotStart("unable to read controls") from None
        try:
            os.stat(self.home.queue + b"/.")
        except OSError:
            raise CannotStart("unable to switch to queue directory") from None
        return settings

    def run(self) -> None:
        """Turn after turn, until told to end and nothing is out any more."""
        while not (self._exiting() and self.deliveries.settled and not self._unfinished()):
            try:
                self.turn()
            except MemoryError:
                # Nothing is lost by what this turn left undone: the queue says what there is to do.
                self.log.stall(b"out of memory, sleeping...")
        self.backlog.save(self.first)

    def _unfinished(self) -> bool:
        """Would a restart do again what is done, only because nobody has noted it yet?"""
        more = self.backlog.done.due(int(time.time())) and not self.cleaner.lost
        return self.todo.busy or self.cleaner.busy or more

    def turn(self) -> None:
        """Wait for something to do, and do a slice of each kind."""
        now = int(time.time())
        self.log.flush()
        try:
            ready = self._wait(now)
        except OSError:
            self.log(logline.warning(b"trouble in select"))
            return
        now = self.clock.now()
        if jump := self.clock.jump():
            self._clock_set(jump, now)
        if self.signals.fd in ready:
            self.signals.drain()
            self._exiting()  # ahead of the reports, whose status lines tell
        # Ahead of all work: mail that is queued after HUP was sent goes by the new tables.
        if self.signals.take(signal.SIGHUP):
            self._reread()
        if self.signals.take(signal.SIGALRM):
            self.backlog.all_now(now)
            for job in self.first.jobs():
                job.retry = now  # deferred, and not noted yet
        self._exiting()  # TERM that came with a report came before it: the status line has to say so
        for channel in self.channels:
            if channel.write_fd in ready:
                channel.flush()
            if channel.read_fd in ready and not channel.lost:
                self.deliveries.take_reports(channel, now)
        if self.cleaner.read_fd in ready:
            self.cleaner.take_answers(now)
        self.control_socket.serve(ready, lambda packet, uid: self.interventions.answer(packet, uid, now))
        self._work(now, self.trigger.fd in ready)

    def _clock_set(self, jump: int, now: int) -> None:
        """Nothing waits for the clock to come round again, and nothing young is taken for old."""
        if jump > 0:
            self._was_ahead = True
            self.sweep.rest(now)
            return
        for part in (self.backlog, self.todo, self.sweep):
            part.shift(jump)
        jobs = self.deliveries.jobs()
        for job in jobs:
            job.retry += jump
        if self._was_ahead:  # what was tried meanwhile is scheduled as if it were that old
            self._was_ahead = False
            self.backlog.all_now(now)
            for job in jobs:
                job.retry = now

    def _work(self, now: int, pulled: bool) -> None:
        # Deliveries of what has been there before new mail, and again after it: a slot never idles for a slice.
        self.deliveries.start_due(now)
        if not self._exiting():
            self.todo.work(now, pulled)
            self.deliveries.start_due(now)
            self.backlog.rejudge(now)
        else:
            self.todo.finish(now)
        self.deliveries.note_held(now)
        if not self.cleaner.lost:  # else its files would stay behind; the next qmail-send winds up
            self.windup.work(now)
        if not self._exiting():
            self.sweep.work(now)
        self.cleaner.flush(now)

    def _exiting(self) -> bool:
        if self.cleaner.lost or signal.SIGTERM in self.signals.pending:
            self.deliveries.exiting = True
        return self.deliveries.exiting

    def _wait(self, now: int) -> set[int]:
        poll = select.poll()
        poll.register(self.signals.fd, select.POLLIN)
        poll.register(self.todo.disk.fd, select.POLLIN)
        self.control_socket.register(poll)
        for channel in self.channels:
            if not channel.lost:
                poll.register(channel.read_fd, select.POLLIN)
            if channel.unsent:
                poll.register(channel.write_fd, select.POLLOUT)
        if self.cleaner.busy:
            poll.register(self.cleaner.read_fd, select.POLLIN)
        wake = now + LONGEST_SLEEP
        if not self._exiting():
            if self.trigger.fd >= 0 and self.todo.listening:
                poll.register(self.trigger.fd, select.POLLIN)
            if not self.cleaner.full:
                wake = self.backlog.wake(wake)
            for part in (self.deliveries, self.todo, self.sweep):
                wake = part.wake(wake)
        elif self._unfinished() and not self.todo.disk.busy and not self.cleaner.busy:
            wake = 0
        timeout = (wake - now + FUZZ) * 1000 if wake > now else 0
        return {fd for fd, _ in poll.poll(timeout)}

    def _reread(self) -> None:
        try:
            os.stat(self.home.home + b"/.")
        except OSError:
            self.log(logline.alert(b"unable to reread controls: unable to switch to home directory"))
            return
        try:
            self.settings.routes = reroute(self.control, self.settings.routes)
        except CannotRead as file:
            self.log(logline.alert(b"unable to reread %b" % os.fsencode(str(file))))


def _take_mutex(queue: Queue) -> int:
    try:
        return queuefiles.take_mutex(queue)
    except BlockingIOError:
        raise CannotStart("qmail-send is already running") from None
    except OSError:
        raise CannotStart("unable to open mutex") from None


def _handshake(settings: Settings) -> list[int]:
    """How many deliveries each channel may run: what is configured, if the spawn program can do as much."""
    limits = []
    for configured, (_, read) in zip(settings.concurrency, SPAWN, strict=True):
        try:
            byte = os.read(read, 1)
        except OSError:
            byte = b""
        if not byte:
            raise CannotStart("hath the daemon spawn no fire?")
        limits.append(min(configured, byte[0]))
    return limits


def qmail_send(call: Call) -> int:
    """Run as one process of its own, on the descriptors that qmail-start has set up."""
    log = logline.Log(LOG)
    signals = Signals()
    umask = os.umask(0o077)
    try:
        send = Send(call, instance.of(call.env), log, signals)
        try:
            send.run()
        finally:
            send.trigger.close()
            send.todo.disk.close()
            send.control_socket.close()
            os.close(send.mutex)
        log(logline.EXITING)
        return 0
    except CannotStart as reason:
        log(logline.alert(b"cannot start: %b" % os.fsencode(str(reason))))
        return 111
    except Exception as error:
        # There is no standard error here (descriptor 2 is a pipe we read), so the log has to tell.
        log(logline.alert(b"oh no! internal error: %b! dying..." % logline.safe(os.fsencode(repr(error)))))
        raise
    finally:
        log.flush()
        os.umask(umask)
        signals.close()


main = PROGRAM.entry(qmail_send)
