"""Somebody sets the clock of a running mail host: mail is delivered at once and tried again in time all the same."""

from __future__ import annotations

import os
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qmail.core.schedule import AHEAD
from qmail.queue import main as qmail_queue
from tests.crash.machine import make_home
from tests.crash.mail import FAR, MAILDIR, SENDER, Message
from tests.crash.service import MailHost, by_inject
from tests.support import queues
from tests.support.wallclock import WallClock

MINUTE, HOUR, DAY = 60, 3600, 86400
LOCAL, REMOTE = 100, 400  # seconds until the second attempt
LATE = AHEAD + 15  # what an attempt may be late by
DEADLINE = 30.0
LATER, AWAY, SLOW = b"later@here.example", b"away@far.example", b"slow@far.example"
WORLD = """#!/bin/sh
# qmail-remote HOST SENDER RECIPIENT: far@ takes its mail, away@ never, and slow@ needs long to say so
case "$3" in
far@*) cat >"$SINK/new.$$" && printf 'r\\0Kok\\n\\0';;
slow@*) read -r line <"$SINK/gate"; printf 's\\0Zlater\\n\\0';;
*) printf 's\\0Zlater\\n\\0';;
esac
"""


class Host(MailHost):
    """A mail host that goes by a clock of its own."""

    def __init__(self, home: Path, clock: WallClock) -> None:
        super().__init__(home, ("later",), lambda: (os.setsid(), clock.install())[1])
        self.clock = clock
        os.mkfifo(self.sink / "gate")
        self.gate = os.open(self.sink / "gate", os.O_RDWR | os.O_CLOEXEC)
        (home / "remote").write_text(WORLD)
        (home / ".qmail-later").write_text("|exit 111\n")
        self.qmail.ensure()

    def send(self, *recipients: bytes) -> None:
        for recipient in recipients:
            assert by_inject(self, Message(f"mail{time.monotonic_ns()}", (recipient,)))

    def let_slow_end(self, times: int = 1) -> None:
        """What slow@ has to say comes now."""
        os.write(self.gate, b"now\n" * times)

    def close(self) -> None:
        super().close()
        os.close(self.gate)

    def tried(self) -> Counter[bytes]:
        """Deliveries begun, by recipient."""
        return Counter(re.findall(rb"starting delivery \d+: msg \d+ to \w+ (\S+)", self.log))

    def ended(self) -> Counter[tuple[bytes, bytes]]:
        """Deliveries ended, by recipient and outcome."""
        begun = dict(re.findall(rb"starting delivery (\d+): msg \d+ to \w+ (\S+)", self.log))
        return Counter((begun[n], how) for n, how in re.findall(rb"(?m)^delivery (\d+): (\w+): ", self.log))

    def wait(self, done: Callable[[], bool]) -> None:
        until = time.monotonic() + DEADLINE
        while not done():
            assert time.monotonic() < until, self.log.decode()
            time.sleep(0.02)

    def delivers_at_once(self) -> None:
        """New mail arrives, though no time passes on its clock but the moments that it takes."""
        before = self.ended()
        self.send(MAILDIR, FAR)
        self.wait(lambda: all(self.ended()[to, b"success"] > before[to, b"success"] for to in (MAILDIR, FAR)))

    def tries(self, recipient: bytes, times: int) -> None:
        self.wait(lambda: self.ended()[recipient, b"deferral"] >= times)
        assert self.ended()[recipient, b"deferral"] == times

    def rest(self) -> None:
        """Wait until nobody does anything but wait."""
        seen = -1
        until = time.monotonic() + DEADLINE
        while seen != self.clock.polls:
            assert time.monotonic() < until, "somebody spins"
            seen = self.clock.polls
            time.sleep(0.3)


@pytest.fixture
def host() -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="clock", ignore_cleanup_errors=True) as name:
        made = Host(make_home(Path(name)), WallClock())
        try:
            yield made
            made.let_slow_end(9)
            made.qmail.stop(signal.SIGTERM)
            assert not re.search(rb"Traceback|internal error|alert|warning", made.log), made.log.decode()
        finally:
            made.close()


@pytest.mark.parametrize("back", [20 * MINUTE, 3 * HOUR, 2 * DAY])
def test_a_clock_that_is_set_back_delays_nothing(host: Host, back: int) -> None:
    host.delivers_at_once()
    host.send(LATER, AWAY, SLOW)
    host.tries(LATER, 1)
    host.tries(AWAY, 1)
    host.wait(lambda: host.tried()[SLOW] == 1)
    host.rest()
    host.clock.set(-back)
    host.rest()  # nobody is told of it
    host.clock.let_pass(LOCAL + LATE)
    host.tries(LATER, 2)
    host.delivers_at_once()
    host.let_slow_end()
    host.tries(SLOW, 1)
    host.rest()
    host.clock.let_pass(REMOTE - LOCAL)
    for recipient, times in ((LATER, 3), (AWAY, 2)):
        host.tries(recipient, times)
    host.wait(lambda: host.tried()[SLOW] == 2)
    host.let_slow_end()
    host.tries(SLOW, 2)
    host.delivers_at_once()
    host.rest()


@pytest.mark.parametrize("ahead", [3 * HOUR, 2 * DAY])
def test_a_clock_that_is_set_forward_and_back_again_delays_nothing(host: Host, ahead: int) -> None:
    host.send(LATER, AWAY, SLOW)
    host.tries(LATER, 1)
    host.tries(AWAY, 1)
    host.wait(lambda: host.tried()[SLOW] == 1)
    host.clock.set(ahead)
    host.delivers_at_once()
    host.tries(LATER, 2)  # what waits is due
    host.tries(AWAY, 2)
    host.rest()
    host.clock.set(-ahead)
    host.delivers_at_once()
    host.tries(LATER, 3)  # now, as nobody knows for when the right clock would have scheduled it
    host.tries(AWAY, 3)
    host.let_slow_end()
    host.wait(lambda: host.tried()[SLOW] == 2)
    host.let_slow_end()
    host.tries(SLOW, 2)
    host.rest()
    host.clock.let_pass(LOCAL + LATE)
    host.tries(LATER, 4)
    host.clock.let_pass(REMOTE - LOCAL)
    host.tries(AWAY, 4)
    host.rest()


def test_what_is_being_received_when_the_clock_is_set_forward_is_not_taken_for_old(host: Host) -> None:
    host.wait(lambda: b"status: " in host.log)
    host.rest()
    message, writer = os.pipe()
    envelope = queues._file(b"F%b\0T%b\0\0" % (SENDER, MAILDIR))
    os.set_inheritable(writer, False)
    pid = queues.start(qmail_queue, [b"qmail-queue"], host.env, message, envelope)
    text = b"Subject: long\n\nthe beginning\n" * 10000
    os.write(writer, text[:65536])
    host.wait(lambda: any((host.home / "queue/mess").glob("*/*")))
    host.clock.set(2 * DAY)
    host.delivers_at_once()
    host.rest()
    with open(writer, "wb") as rest:
        rest.write(text[65536:])
    assert os.waitpid(pid, 0)[1] == 0
    host.wait(lambda: host.ended()[MAILDIR, b"success"] == 2)
    assert any(path.read_bytes().endswith(text) for path in (host.home / "Maildir/new").iterdir())


def test_mail_older_than_its_lifetime_by_a_clock_that_was_ahead_is_the_price(host: Host) -> None:
    """As with the original: a clock that is eight days ahead makes deferred mail bounce."""
    host.send(LATER)
    host.tries(LATER, 1)
    host.clock.set(8 * DAY)
    host.delivers_at_once()
    host.wait(lambda: host.ended()[LATER, b"failure"] == 1)
