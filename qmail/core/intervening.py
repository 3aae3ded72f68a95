"""What qmail-send does for qmail-qctl: hold, release, try now, fail or delete messages or recipients.  qmail-qctl(8).

qmail-send alone changes info, local and remote of its messages, and here it is qmail-send that does: between two of
its turns, so that nothing races.  A recipient whose delivery is under way cannot be called back.  What was asked for it
is done when its report comes, and a report of success beats it."""

from __future__ import annotations

import errno
import os

from qmail.core import bounce, envelope, hold, intervention, logline, queuefiles
from qmail.core.intervention import Item
from ucspi.core import streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qmail.core.approach import Stopped
    from qmail.core.backlog import Backlog
    from qmail.core.deliveries import Deliveries
    from qmail.core.queuedir import Queue
    from qmail.core.settings import Settings

REASON = b"The administrator of this system has given up on this recipient. (#5.0.0)"


class Gone(Exception):
    """The message is not there any more, or is not the one that was meant."""


class Interventions:
    """All five verbs."""

    def __init__(
        self,
        queue: Queue,
        backlog: Backlog | Stopped,
        deliveries: Deliveries | None,
        settings: Settings,
        log: Callable[[bytes], None],
    ) -> None:
        """`deliveries` is None where no qmail-send runs, and nothing is under way."""
        self._queue, self._backlog, self._deliveries = queue, backlog, deliveries
        self._settings, self._log = settings, log
        self._due: tuple[set[int], set[int], set[int]] = (set(), set(), set())  # local, remote, done
        self._through: tuple[set[int], set[int]] = (set(), set())  # no recipient is left in local, in remote

    def answer(self, packet: bytes, uid: int, now: int) -> bytes:
        """Do what a request says; return the answer."""
        try:
            verb, text, items = intervention.unpack(packet)
        except intervention.Malformed as why:
            return intervention.trouble(str(why).encode())
        answers = []
        for item in items:
            try:
                self._find(item)
                settled, under_way = self._do(verb, text, item, now)
            except Gone:
                answers.append(intervention.gone())
            except OSError as error:
                answers.append(intervention.trouble(os.fsencode(error.strerror or "trouble")))
            else:
                self._log(logline.intervention(verb, item.number, settled, under_way, uid))
                answers.append(intervention.done(settled, under_way))
        self._backlog.bring_forward(self._due, now)
        self._backlog.through(self._through, now)
        self._due, self._through = (set(), set(), set()), (set(), set())
        return b"".join(answers)

    def _find(self, item: Item) -> None:
        """Raises Gone or OSError."""
        try:
            birth = queuefiles.info(self._queue, item.number)[1]
        except FileNotFoundError:
            raise Gone from None
        if birth != item.birth:
            raise Gone
        new = self._deliveries is not None and self._deliveries.is_new(item.number)
        if new or queuefiles.exists(self._queue.todo(item.number)):
            raise OSError(errno.EAGAIN, "new; try again when its first attempt is over")

    def _do(self, verb: bytes, text: bytes, item: Item, now: int) -> tuple[int, int]:
        if verb == b"hold":
            return self._hold(item)
        for numbers in self._due if verb in (b"release", b"retry") else self._due[2:]:
            numbers.add(item.number)
        if verb == b"release":
            return self._release(item)
        if verb == b"retry":
            return self._retry(item, now)
        return self._settle(item, text or REASON if verb == b"fail" else None)

    # Every verb returns how many recipients it is done for, and how many are under way

    def _hold(self, item: Item) -> tuple[int, int]:
        found = {key: under_way for key, _, under_way in self._waiting(item)}
        held = self._backlog.holds.of(item.number)
        if not item.keys:
            held = hold.ALL
        elif held != hold.ALL:
            held |= found.keys()
        self._backlog.holds.set(item.number, item.birth, held)
        under_way = sum(found.values())
        return len(found) - under_way, under_way

    def _release(self, item: Item) -> tuple[int, int]:
        held = self._backlog.holds.of(item.number)
        all_keys = {key for key, _, _ in self._waiting(Item(item.number, item.birth))}
        if held == hold.ALL:
            held = frozenset(all_keys)
        left = held - item.keys if item.keys else hold.NONE
        self._backlog.holds.set(item.number, item.birth, left)
        return len((held - left) & all_keys), 0

    def _retry(self, item: Item, now: int) -> tuple[int, int]:
        found = [under_way for _, _, under_way in self._waiting(item)]
        if self._deliveries:
            self._deliveries.retry(item.number, now)
        return found.count(False), found.count(True)

    def _settle(self, item: Item, text: bytes | None) -> tuple[int, int]:
        """Fail with `text`, or delete."""
        if text is not None:
            text = text.removesuffix(b"\n") + b"\n"
        elif not item.keys:
            # Nothing is left that anybody should hear of.  What fails from now on is not written down.
            queuefiles.remove(self._queue.bounce(item.number))
        done = under_way = 0
        for channel in range(len(logline.CHANNELS)):
            offsets: list[int] = []
            paragraphs: list[bytes] = []
            for key, offset, is_out in self._waiting(item, channel):
                if is_out and self._deliveries:
                    self._deliveries.decide(item.number, channel, offset, text)
                    under_way += 1
                    continue
                offsets.append(offset)
                if text is not None:
                    paragraphs.append(bounce.paragraph(self._settings.routes.unprefixed(key[1:]), text))
            if paragraphs:
                queuefiles.append_bounce(self._queue, item.number, b"".join(paragraphs))
            if offsets:
                queuefiles.mark_done(self._queue, logline.CHANNELS[channel], item.number, *offsets)
                if self._deliveries:
                    self._deliveries.skip(item.number, channel, offsets)
            done += len(offsets)
            self._end(item, channel)
        return done, under_way

    def _end(self, item: Item, channel: int) -> None:
        """If no recipient is left on a channel: take its file away, without waiting for a slot for a last pass."""
        if self._deliveries and self._deliveries.has(item.number, channel):
            return  # that pass is under way
        name = self._queue.split_name(logline.CHANNELS[channel], item.number)
        if not any(True for _ in self._waiting(Item(item.number, item.birth), channel)):
            queuefiles.remove(self._queue.at(name))
            self._through[channel].add(item.number)

    def _waiting(self, item: Item, only: int | None = None) -> Iterator[tuple[bytes, int, bool]]:
        """Recipients that are meant and not done: key, offset of the record, whether the delivery is under way."""
        for channel, kind in enumerate(logline.CHANNELS):
            if only not in (None, channel):
                continue
            out = self._deliveries.out(item.number, channel) if self._deliveries else frozenset[int]()
            try:
                fd = queuefiles.open_recipients(self._queue, kind, item.number)
            except FileNotFoundError:
                continue
            offset = 0
            try:
                for record in envelope.records(streams.blocks(fd)):
                    key = hold.LETTERS[channel] + record[1:]
                    if record[:1] == b"T" and item.means(key):
                        yield key, offset, offset in out
                    offset += len(record) + 1
            finally:
                os.close(fd)
