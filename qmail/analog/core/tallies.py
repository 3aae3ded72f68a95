"""The tables of qmailanalog: deliveries and messages added up by reason, recipient, host, sender and uid.

Each takes rows of the fields it names in `deliveries` and `messages` (see records) and gives lines of a table, in the
order in which their keys came.  `order` is the key by which the report of the same name sorts them."""

from __future__ import annotations

from qmail.analog.core import awk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qmail.analog.core.records import Row


class Tally:
    """A table in the making."""

    deliveries: tuple[int, ...] = ()
    messages: tuple[int, ...] = ()

    def receive(self, deliveries: list[Row], messages: list[Row]) -> None:
        """Add rows."""
        raise NotImplementedError

    def lines(self) -> list[str]:
        """The table so far."""
        raise NotImplementedError

    @staticmethod
    def order(line: str) -> tuple[float, str]:
        """Sorts by the last column, as text."""
        return 0, line.rpartition(" ")[2]


class Reasons(Tally):
    """Deliveries with one outcome, by what was said about them."""

    deliveries = (2, 4, 5, 11)

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.counts: dict[str, int] = {}
        self.xdelays: dict[str, float] = {}

    def receive(self, deliveries: list[Row], messages: list[Row]) -> None:
        counts, xdelays, wanted = self.counts, self.xdelays, self.kind
        for kind, start, end, reason in deliveries:
            if kind == wanted:
                counts[reason] = counts.get(reason, 0) + 1
                xdelays[reason] = xdelays.get(reason, 0.0) + (float(end) - float(start))

    def lines(self) -> list[str]:
        return [f"{count} {self.xdelays[reason]:.2f} {reason}" for reason, count in self.counts.items()]


class Recipients(Tally):
    """Deliveries by recipient, with the channel in front of the address."""

    deliveries = (2, 4, 5, 6, 8)
    key: Callable[[str], str] = staticmethod(str)

    def __init__(self) -> None:
        self.totals: dict[str, list[float]] = {}  # bytes of successes, successes and failures, attempts, xdelay

    def receive(self, deliveries: list[Row], messages: list[Row]) -> None:
        totals, key = self.totals, self.key
        for kind, start, end, size, recipient in deliveries:
            name = key(recipient)
            total = totals.get(name)
            if total is None:
                total = totals[name] = [0, 0, 0, 0.0]
            if kind == "k":
                total[0] += int(size)
                total[1] += 1
                total[2] += 1
            elif kind == "d":
                total[1] += 1
                total[2] += 1
            elif kind == "z":
                total[2] += 1
            total[3] += float(end) - float(start)

    def lines(self) -> list[str]:
        return [f"{size} {mess} {tries} {delay:.2f} {key}" for key, (size, mess, tries, delay) in self.totals.items()]


def host_of(recipient: str) -> str:
    """What follows the last @, or all."""
    return recipient.rpartition("@")[2]


class Hosts(Recipients):
    """Deliveries by the host part of the recipient."""

    key = staticmethod(host_of)


class Senders(Tally):
    """Messages by uid and sender; of deliveries, the time they took.  Only who has finished a message is shown."""

    deliveries = (4, 5, 7, 10)
    messages = (4, 5, 6, 7, 8, 10)

    def __init__(self) -> None:
        self.totals: dict[
            str, list[int]
        ] = {}  # messages, bytes, weighted by success, by recipients, recipients, attempts
        self.xdelays: dict[str, float] = {}

    @staticmethod
    def order(line: str) -> tuple[float, str]:
        """By uid, then as text."""
        return awk.number(line.rpartition(" ")[2]), line

    def receive(self, deliveries: list[Row], messages: list[Row]) -> None:
        xdelays = self.xdelays
        for start, end, sender, uid in deliveries:
            key = self.name(uid, sender)
            xdelays[key] = xdelays.get(key, 0.0) + (float(end) - float(start))
        totals = self.totals
        for size, k, d, z, sender, uid in messages:
            key = self.name(uid, sender)
            total = totals.get(key)
            if total is None:
                total = totals[key] = [0, 0, 0, 0, 0, 0]
            length, successes = int(size), int(k)
            done = successes + int(d)
            total[0] += 1
            total[1] += length
            total[2] += length * successes
            total[3] += length * done
            total[4] += done
            total[5] += done + int(z)

    name: Callable[[str, str], str] = staticmethod("{}/{}".format)

    def lines(self) -> list[str]:
        return [
            f"{' '.join(map(str, total))} {self.xdelays.get(key, 0.0):.6f} {key}" for key, total in self.totals.items()
        ]


class Uids(Senders):
    """Messages by the uid that queued them."""

    name = staticmethod("{}".format)


class Distribution(Tally):
    """How soon successful deliveries were done: doneby, average and percentage."""

    deliveries = (2, 3, 5)

    def __init__(self) -> None:
        self.counts: dict[float, int] = {}  # ddelays of six digits, as awk prints them

    @staticmethod
    def order(line: str) -> tuple[float, str]:
        """As they are."""
        return 0, ""

    def receive(self, deliveries: list[Row], messages: list[Row]) -> None:
        counts = self.counts
        for kind, birth, end in deliveries:
            if kind == "k":
                ddelay = float("%.6g" % (float(end) - float(birth)))
                counts[ddelay] = counts.get(ddelay, 0) + 1

    def lines(self) -> list[str]:
        return [f"{doneby:.2f} {average:.2f} {percent}" for doneby, average, percent in self.rows()]

    def rows(self) -> list[tuple[float, float, int]]:
        """The average is that of the distinct values, however often each occurred."""
        total, done = sum(self.counts.values()), 0
        by_percent: dict[int, list[float]] = {}
        for ddelay in sorted(self.counts):
            done += self.counts[ddelay]
            by_percent.setdefault(done * 100 // total, []).append(ddelay)
        rows, seen, delays = [], 0, 0.0
        for percent, values in by_percent.items():
            seen += len(values)
            for value in values:
                delays += value
            if percent >= 10 and values[0] >= 0:
                rows.append((values[0], delays / seen, percent))
        return rows


def rxdelay(lines: Iterable[str]) -> list[str]:
    """Lines of Recipients, in the best order for mailing lists: average xdelay, attempts, recipient."""
    rows = []
    for line in lines:
        fields = line.split() + [""] * 5
        average = f"{awk.quotient(awk.number(fields[3]), awk.number(fields[2])):.2f}"
        rows.append(f"{average} {fields[2]} {fields[4]}")
    return sorted(rows, key=lambda row: (awk.number(row), row))
