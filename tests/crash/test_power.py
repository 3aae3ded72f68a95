"""A power cut at any moment: what was accepted arrives, whatever the disk kept of the rest."""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.disk import Disk, Event, Recorder, rebuild, wipe
from tests.crash.interpose import interposed
from tests.crash.machine import Machine, make_home
from tests.crash.mail import BOUNCING, FAR, GONE, MAILDIR, NOBODY, Message, Verdict, age, judge, states
from tests.crash.size import FULL, SEED, STATES

SHM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
MESSAGES = [
    Message("one"),
    Message("two", (MAILDIR, *BOUNCING), 3000),
    Message("long", size=150000),
    Message("four", BOUNCING),
    Message("straight", (MAILDIR,)),
    Message("back", (NOBODY,)),
    Message("away", (FAR,)),
    Message("refused", (GONE,)),
]


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="crash", dir=SHM) as name:
        yield Path(name)


def record(home: Path) -> list[Event]:
    """All that a machine does with some messages, two at once."""
    recorder = Recorder(home)
    with interposed(recorder):
        machine = Machine(home, lambda text: recorder.mark("sent", text))
        for group in (MESSAGES[:2], MESSAGES[2:4], MESSAGES[4:]):
            for message in group:
                assert machine.submit(message)
                recorder.mark("accepted", message.name)
            machine.run()
        machine.close()
    return recorder.events


def recover(home: Path, sink: list[bytes], accepted: set[str]) -> tuple[Verdict, Counter[str]]:
    """Start, let all be done, let 37 hours pass, start again.  What is in the queue then, by its kinds of file."""
    machine = Machine(home, sink.append)
    machine.run()
    machine.close()
    verdict = judge(MESSAGES, accepted, home, sink, torn=True)
    age(home / "queue")
    machine = Machine(home, sink.append)
    machine.run()
    machine.close()
    if os.listdir(home / "queue/pid"):
        verdict.wrong.append("pid/ is not clean")
    left = Counter("+".join(sorted(kinds)) for kinds in states(home / "queue").values())
    if verdict.wrong:
        verdict.wrong += [line.decode() for line in machine.log.lines[-5:]]
    return verdict, left


def test_what_a_power_cut_brings_back_of_a_finished_message_is_removed_unsent(directory: Path) -> None:
    home, sink = make_home(directory), list[bytes]()
    for kind, data in (("info", b"Fsender@here.example\0"), ("remote", b"Tfar@far.example\0")):
        (home / "queue" / kind / "9" / "9").write_bytes(data)
    (home / "queue/bounce/9").write_bytes(b"<x@y>:\nno\n\n")
    verdict, left = recover(home, sink, set())
    assert (verdict.wrong, dict(left), sink) == ([], {}, [])


def test_the_bounce_of_an_earlier_message_with_the_same_number_goes_to_nobody(directory: Path) -> None:
    home = make_home(directory)
    machine = Machine(home, lambda text: None)
    assert machine.submit(Message("one", (MAILDIR,)))
    (number,) = states(home / "queue")
    (home / "queue/bounce" / str(number)).write_bytes(b"<x@y>:\nno\n\n")
    machine.close()
    verdict, left = recover(home, [], set())
    assert (verdict.wrong, dict(left), os.listdir(home / "Bounces/new")) == ([], {}, [])
    assert len(os.listdir(home / "Maildir/new")) == 1


def test_after_a_power_cut_everything_accepted_arrives_whole(directory: Path) -> None:
    chance = random.Random(SEED)
    (directory / "first").mkdir()
    events = record(make_home(directory / "first"))
    home = make_home(directory)
    disk, accepted, sent, seen = Disk(), set(), [], set()
    each = STATES // len(events) + 1
    duplicates, left = 0, Counter[str]()
    for at, event in enumerate(events):
        if event[0] == "accepted":
            accepted.add(event[1])
        elif event[0] == "sent":
            sent.append(event[1])
        else:
            disk.play(event)
        for picture in disk.after_cut(chance, each):
            key = hash((at, tuple(sorted(picture.items()))))
            if key in seen:
                continue
            seen.add(key)
            wipe(home)
            rebuild(picture, home)
            verdict, kinds = recover(home, list(sent), accepted)
            duplicates += verdict.duplicates
            left += kinds
            assert not verdict.wrong, (SEED, at, events[max(0, at - 8) : at + 1], sorted(picture), verdict.wrong)
    # An envelope whose message is gone.  It is complained of at every scan, and no new message gets its number.
    assert {kind for kinds in left for kind in kinds.split("+") if "todo" not in kinds} == set(), left
    print(
        f"\npower cut: {len(events)} operations, {len(seen)} states, {duplicates} duplicates, left behind: {dict(left)}"
    )
    assert len(seen) >= (10_000 if FULL else STATES // 3)
