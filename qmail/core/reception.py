"""The way into one instance's queue, for whoever may write it: root, the queue's owner, qmail-queued for all others."""

from __future__ import annotations

import os
import time

from qmail.core import datestamp
from qmail.core.instance import Instance, UnknownAccount
from qmail.core.queuedir import Arrival, Caller, Queue, Refused

# Tested in this order, by real uid; qmail-queue(8).
HOW = (("alias", b"by alias"), ("qmaild", b"from network"), ("qmails", b"for bounce"))


class Reception:
    """Starts arrivals.  Accounts are looked up once, at the first: keep it as long as the instance is the same."""

    __slots__ = ("_how", "_instance", "_queue")

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._queue: Queue | None = None
        self._how: dict[int, bytes] = {}

    @property
    def may_write(self) -> bool:
        """True if this process may write the queue.  Raises Refused when there is none."""
        return os.geteuid() in (0, self._owner())

    def arrival(self, uid: int, pid: int) -> Arrival:
        """Begin to receive a message from the process `pid` of `uid`.  Raises Refused."""
        if self._queue is None:
            self._queue = self._look_up()
        caller = Caller(uid, pid, self._how.get(uid) or b"by uid %d" % uid)
        line = b"Received: (qmail %d invoked %b); %b\n" % (pid, caller.how, datestamp.rfc822(time.time()))
        return Arrival(self._queue, caller, line)

    def _look_up(self) -> Queue:
        owner = self._owner()
        try:
            if not self._instance.single:
                # A single user is all of these accounts at once, which says nothing: there it is `by uid N`.
                for name, how in HOW:
                    self._how.setdefault(self._instance.uid(name), how)
        except UnknownAccount as error:
            raise Refused(111) from error
        # Root gives its files to qmailq: the programs that read them trust nobody else's.
        return Queue(self._instance.queue, owner if os.geteuid() != owner else None)

    def _owner(self) -> int:
        try:
            return self._instance.owner
        except OSError as error:
            raise Refused(62 if os.path.isdir(self._instance.home) else 61) from error
