"""Messages that are delivered straight from todo/.  qmail-send(8), INTERNALS S4.

Mail for one recipient is most often delivered milliseconds after it came.  It then never gets info/N and local/N or
remote/N, which would have to be synced only to be removed again: todo/N, which lasts, stays until it is through.

    young      known from todo/N alone; waits for a slot, or is out
    delivered  todo/N goes, then mess/N: windup
    held       anything else became of it, or it took too long: it is preprocessed as all other mail is, and what its
               delivery was reported to be is noted in those files as soon as they last
    given up   that failed: todo/N is all there is, and the next scan preprocesses it before it delivers

A crash at any point leaves a message in S4, which is to be delivered.  One that had been, and whose report had not led
to the removal of todo/N yet, is delivered again, as elsewhere one whose D is not yet written.

Each message is at exactly one place at any time: a schedule, a job, or a list here.  One that is given up is dropped
where it comes by next (`dropped`); until then no scan touches it, so no message is ever there twice."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from qmail.core.channel import Channel
    from qmail.core.job import Delivery, Job
    from qmail.core.schedule import Schedule

    Outcome = tuple[Delivery, bytes, bytes]  # with the letter and text of its report

PATIENCE = 1  # seconds, full ones, after which a message gets files like all others
AHEAD = 20  # messages of a channel that wait for a slot: enough to keep all busy, few to preprocess if none gets free


class Young:
    """What a first delivery has to know."""

    __slots__ = ("channel", "number", "out", "recipient", "sender", "since")

    def __init__(self, number: int, since: int, sender: bytes, channel: int, recipient: bytes) -> None:
        self.number, self.since, self.sender, self.channel, self.recipient = number, since, sender, channel, recipient
        self.out = False  # it has got its slot


class FirstTries:
    """Where all of them stand."""

    def __init__(self, channels: Sequence[Channel], schedules: Sequence[Schedule]) -> None:
        self._channels, self._schedules = channels, schedules
        self._young: dict[int, Young] = {}  # the oldest first
        self._count = [0 for _ in channels]  # of them, by channel
        self._delivered: set[int] = set()
        self._syncing: dict[int, bool] = {}  # being preprocessed; does a schedule or a job have it already?
        self._held: dict[int, Outcome] = {}
        self._given_up: set[int] = set()
        self._ordinary: set[int] = set()  # not to be tried from todo/: there are files of an earlier try
        self._slow: set[int] = set()  # channels for which mail had to wait: no more until one has a slot to spare
        self.ready: list[Outcome] = []  # for Deliveries to note; without a letter: to be forgotten

    def __contains__(self, number: object) -> bool:
        """Is this message's todo file none of a scan's business?"""
        return number in self._young or number in self._syncing or number in self._delivered or number in self._given_up

    # Scans of todo/

    @property
    def full(self) -> bool:
        """Should the next message wait in todo/ until a delivery is over?"""
        return any(count >= channel.limit + AHEAD for count, channel in zip(self._count, self._channels, strict=True))

    def may_try(self, number: int) -> bool:
        """Does nothing speak against trying this message from todo/, if its channel has time for it?"""
        return number not in self._ordinary

    def welcome(self, channel: int, now: int) -> bool:
        """May mail for this channel be tried from todo/?"""
        if channel in self._slow and self._channels[channel].available and not self._schedules[channel].due(now):
            self._slow.discard(channel)
        return channel not in self._slow and not self._channels[channel].lost

    def add(self, young: Young, now: int) -> None:
        """Schedule a message."""
        self._young[young.number] = young
        self._count[young.channel] += 1
        self._schedules[young.channel].add(now, young.number)

    def ordinary(self, number: int) -> None:
        """There are files of this message that a crash must not bring together with its todo's end."""
        self._ordinary.add(number)

    def overdue(self, now: int) -> list[int]:
        """Those that are to be preprocessed: young no more, but scheduled already."""
        old = [n for n in self._held if n in self._young]
        for number, young in self._young.items():
            if young.since <= now <= young.since + PATIENCE:  # else it is old, or the clock has been set back
                break
            if number not in self._held:
                if not young.out:
                    self._slow.add(young.channel)
                old.append(number)
        for number in old:
            self._remove(number)
            self._syncing[number] = True
        return old

    def wake(self, latest: int) -> int:
        """When some are overdue, `latest` if not before; 0: now."""
        if self.ready or any(number in self._young for number in self._held):
            return 0
        for young in self._young.values():
            return min(latest, young.since + PATIENCE + 1)
        return latest

    def jobs(self) -> set[Job]:
        """Those whose last report is not noted yet."""
        return {outcome[0].job for outcome in (*self._held.values(), *self.ready)}

    @property
    def busy(self) -> bool:
        """Are there reports that are not noted yet?"""
        return bool(self._held or self.ready)

    # Preprocessing, of these and of all other mail

    def syncing(self, number: int) -> None:
        """A message is being preprocessed, and no schedule has it."""
        self._syncing[number] = False

    def synced(self, number: int) -> bool:
        """Its files last, and todo/N is gone.  True: it is to be scheduled, as new mail is."""
        self._ordinary.discard(number)
        scheduled = self._syncing.pop(number)
        if number in self._held:
            self.ready.append(self._held.pop(number))
        return not scheduled

    def not_synced(self, number: int) -> None:
        """Preprocessing failed: nothing but todo/N counts."""
        scheduled = self._syncing.pop(number)
        self._ordinary.add(number)
        if number in self._held:
            self.ready.append((self._held.pop(number)[0], b"", b""))
        elif scheduled:
            self._given_up.add(number)

    # Deliveries, and winding up

    def dropped(self, number: int) -> bool:
        """Has this message been given up?  Then whoever asks forgets it, and the next scan may find it."""
        if number not in self._given_up:
            return False
        self._given_up.discard(number)
        return True

    def take(self, number: int) -> Young | None:
        """What there is to know of a young message that gets its slot now."""
        young = self._young.get(number)
        if young:
            young.out = True
        return young

    def waits(self, number: int) -> bool:
        """Is a message that is due still being preprocessed?  Then it is to be scheduled after that."""
        if number not in self._syncing:
            return False
        self._syncing[number] = False
        return True

    def hold(self, outcome: Outcome) -> bool:
        """Is there no file yet where a report could be noted?  Then it is kept until there is."""
        number = outcome[0].job.number
        if number not in self._young and number not in self._syncing:
            return False
        self._held[number] = outcome
        return True

    def deliver(self, number: int) -> bool:
        """A message was delivered: if it was young, it is through."""
        if number not in self._young:
            return False
        self._remove(number)
        self._delivered.add(number)
        return True

    def delivered(self, number: int) -> bool:
        """Is todo/N there still, and nothing else?"""
        return number in self._delivered

    def leave(self, number: int) -> None:
        """A delivered message's todo is gone."""
        self._delivered.discard(number)

    def _remove(self, number: int) -> None:
        self._count[self._young.pop(number).channel] -= 1
