"""SIGKILL, at any moment, to any one or all of the processes of a mail host under load: what was accepted arrives."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmail.core import logline, maildrop
from tests.crash.account import Account, Death
from tests.crash.machine import make_home
from tests.crash.mail import BOUNCING, FAR, MAILDIR, MBOX, SENDER, Message, age, forbidden, judge, states
from tests.crash.service import Load, MailHost, by_inject, by_smtp, kill, relations
from tests.crash.size import KILLS, SEED

SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
PAUSE = 0.12  # seconds between two kills, at most
DRAIN = 120.0  # seconds to deliver what is left
OLD = 37 * 3600


def line_by_line() -> None:
    """What the log says has been done, or is what is done next; lines are not gathered until the turn ends."""
    os.setsid()
    logline.Log.FULL = -1


@pytest.fixture
def host() -> Iterator[MailHost]:
    with tempfile.TemporaryDirectory(prefix="crash", dir=SHM, ignore_cleanup_errors=True) as name:
        made = MailHost(make_home(Path(name)), setup=line_by_line)
        yield made
        made.close()


def drain(host: MailHost) -> None:
    """Let everything be delivered.  What was deferred, because somebody was killed, is tried again at once."""
    deadline = time.monotonic() + DRAIN
    while any(kinds - {"mess", "intd"} for kinds in states(host.home / "queue").values()):
        assert time.monotonic() < deadline, states(host.home / "queue")
        host.ensure()
        time.sleep(0.1)
        os.kill(host.qmail.pid, signal.SIGALRM)


class Shots:
    """Who was killed, and when.  `bounces`: those of qmail-send, which queues bounces, one at a time."""

    def __init__(self, host: MailHost) -> None:
        self._host = host
        self.names = Counter[str]()
        self.deaths: list[Death] = []
        self.bounces = 0

    def fire(self, loads: list[Load], chance: random.Random) -> None:
        """Kill one process, or all of the mail host."""
        host = self._host
        sessions = [sid for service in host.services for sid in service.sessions]
        if chance.random() < 0.15:
            self._kill("all", host.processes(sessions))
            return
        senders = [load.pid for load in loads]
        victims = [pid for pid in host.processes([*sessions, *senders]) if pid not in senders]
        if victims:
            victim = chance.choice(victims)
            self._kill("qmail-send" if victim == host.qmail.pid else _name(victim), [victim])

    def _kill(self, name: str, victims: list[int]) -> None:
        before, send = len(self._host.log), self._host.qmail.pid
        families = [(pid, *(relations(pid) or (0, 0))) for pid in victims]
        kill(*victims)
        self.names[name] += 1
        self.bounces += send in victims
        mail = [(pid, parent) for pid, parent, session in families if session in self._host.qmail.sessions]
        if mail:  # else those who take mail in: no delivery of theirs is out
            self.deaths.append(Death(before, len(self._host.log), any(send in family for family in mail)))


def _name(pid: int) -> str:
    try:
        name = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].partition(b" ")[0].decode()
    except OSError:
        return "?"
    return os.path.basename(name) or "?"


def nothing_stays(host: MailHost) -> None:
    """What the dead have left in queue and maildirs is taken away when it is old enough."""
    age(host.home / "queue")
    host.ensure()
    deadline = time.monotonic() + DRAIN
    while states(host.home / "queue") or os.listdir(host.home / "queue/pid"):
        assert time.monotonic() < deadline, ("left behind", states(host.home / "queue"))
        time.sleep(0.05)
    for folder in ("Maildir", "Bounces"):
        tmp = host.home / folder / "tmp"
        maildrop.sweep(os.fsencode(tmp), int(time.time()) + OLD)
        assert os.listdir(tmp) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_whoever_is_killed_whenever_accepted_mail_arrives_whole(host: MailHost) -> None:
    chance = random.Random(SEED)
    host.ensure()
    loads = [Load(host, name, send, SEED) for name, send in (("s", by_smtp), ("t", by_smtp), ("i", by_inject))]
    shots = Shots(host)
    try:
        while shots.names.total() < KILLS:
            time.sleep(chance.random() * PAUSE)
            host.ensure()
            shots.fire(loads, chance)
    finally:
        for load in loads:
            load.stop()
    messages: list[Message] = []
    accepted: set[str] = set()
    for load in loads:
        known, taken = load.told()
        messages += known
        accepted |= taken
    drain(host)
    host.qmail.stop(signal.SIGTERM)
    wrong = forbidden(states(host.home / "queue"))
    verdict = judge(messages, accepted, host.home, host.sent(), torn=True)
    nothing_stays(host)
    account = Account(host.log, host.lives, shots.deaths)
    print(
        f"\nkill: {shots.names.total()} kills {dict(shots.names)}, {len(messages)} messages, {len(accepted)} accepted, "
        f"{sum(verdict.copies.values())} deliveries, {verdict.duplicates} duplicates; {account.repeated.total()} "
        f"deliveries repeated whose end nobody had noted"
    )
    assert not verdict.wrong and not wrong, (SEED, verdict.wrong[:5], wrong)
    assert len(accepted) > KILLS // 4, "hardly any mail was accepted: this shows nothing"
    assert not account.wrong, (SEED, account.wrong[:5])
    for recipient in (MAILDIR, MBOX, FAR):
        assert verdict.duplicates_of(recipient) <= account.repeated[recipient], (SEED, recipient)
    # A bounce is twice there if its delivery was, or if qmail-send died between the writing of a paragraph or the
    # queueing of the bounce and the note of it; it does one at a time.
    bounced = sum(map(verdict.duplicates_of, BOUNCING))
    assert bounced <= len(BOUNCING) * (account.repeated[SENDER] + shots.bounces), SEED


def test_where_nobody_is_killed_nothing_arrives_twice(host: MailHost) -> None:
    host.ensure()
    loads = [Load(host, name, send, SEED) for name, send in (("s", by_smtp), ("i", by_inject))]
    until = time.monotonic() + 30
    while min(sum(line.startswith("+") for line in _lines(load)) for load in loads) < 10:
        assert time.monotonic() < until, [_lines(load) for load in loads]
        time.sleep(0.05)
    for load in loads:
        load.stop()
    drain(host)
    told = [load.told() for load in loads]
    messages = [message for known, _ in told for message in known]
    verdict = judge(messages, {name for _, taken in told for name in taken}, host.home, host.sent())
    assert (verdict.wrong, verdict.duplicates) == ([], 0)
    account = Account(host.log, host.lives, [])
    assert (account.wrong, account.repeated.total()) == ([], 0)


def _lines(load: Load) -> list[str]:
    return load.record.read_text().splitlines() if load.record.exists() else []
