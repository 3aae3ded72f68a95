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

from qmail.core import maildrop
from tests.crash.machine import make_home
from tests.crash.mail import Message, age, forbidden, judge, states
from tests.crash.service import Load, MailHost, by_inject, by_smtp, kill
from tests.crash.size import KILLS, SEED

SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
PAUSE = 0.12  # seconds between two kills, at most
AT_A_TIME = 10 + 20 + 20  # deliveries that are out, local and remote, and those that wait to be noted: qmail-send(8)
DRAIN = 120.0  # seconds to deliver what is left
OLD = 37 * 3600


@pytest.fixture
def host() -> Iterator[MailHost]:
    with tempfile.TemporaryDirectory(prefix="crash", dir=SHM, ignore_cleanup_errors=True) as name:
        made = MailHost(make_home(Path(name)))
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


def shoot(host: MailHost, loads: list[Load], chance: random.Random) -> str:
    """Kill one process, or all of the mail host; says what."""
    sessions = [sid for service in host.services for sid in service.sessions]
    if chance.random() < 0.15:
        for pid in host.processes(sessions):
            kill(pid)
        return "all"
    senders = [load.pid for load in loads]
    victims = [pid for pid in host.processes([*sessions, *senders]) if pid not in senders]
    if not victims:
        return "nobody"
    victim = chance.choice(victims)
    if victim == host.qmail.pid:
        kill(victim)
        return "qmail-send"
    try:
        name = Path(f"/proc/{victim}/cmdline").read_bytes().partition(b"\0")[0].partition(b" ")[0].decode()
    except OSError:
        name = "?"
    kill(victim)
    return os.path.basename(name) or "?"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_whoever_is_killed_whenever_accepted_mail_arrives_whole(host: MailHost) -> None:
    chance = random.Random(SEED)
    host.ensure()
    loads = [Load(host, name, send, SEED) for name, send in (("s", by_smtp), ("t", by_smtp), ("i", by_inject))]
    shot = Counter[str]()
    try:
        while sum(shot.values()) < KILLS:
            time.sleep(chance.random() * PAUSE)
            host.ensure()
            if (name := shoot(host, loads, chance)) != "nobody":
                shot[name] += 1
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
    print(
        f"\nkill: {sum(shot.values())} kills {dict(shot)}, {len(messages)} messages, {len(accepted)} accepted, "
        f"{sum(verdict.copies.values())} deliveries, {verdict.duplicates} duplicates"
    )
    assert not verdict.wrong and not wrong, (SEED, verdict.wrong[:5], wrong)
    assert len(accepted) > KILLS // 4, "hardly any mail was accepted: this shows nothing"
    assert verdict.duplicates <= KILLS * AT_A_TIME


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


def _lines(load: Load) -> list[str]:
    return load.record.read_text().splitlines() if load.record.exists() else []
