"""The tables of qmailanalog: deliveries and messages added up by reason, recipient, host, sender and uid.

Each takes columns of the fields it names in `deliveries` and `messages` (see records) and gives lines of a table, in
the order in which their keys came.  `arranged` sorts them as the report of the same name does."""

from __future__ import annotations

from qmail.analog.core import awk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qmail.analog.core.records import Column


class Tally:
    """A table in the making."""

    deliveries: tuple[int, ...] = ()
    messages: tuple[int, ...] = ()

    def receive(self, deliveries: list[Column], messages: list[Column]) -> None:
        """Add what is in these columns."""
        raise NotImplementedError

    def lines(self) -> list[str]:
        """The table so far."""
        raise NotImplementedError

    @staticmethod
    def arranged(lines: list[str]) -> list[str]:
        """Sorted by the last column, as text."""
        return sorted(lines, key=_last_column)


def _last_column(line: str) -> str:
    return line[line.rfind(" ") + 1 :]


class Reasons(Tally):
    """Deliveries with one outcome, by what was said about them."""

    deliveries = (2, 4, 5, 11)

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.counts: dict[str, int] = {}
        self.xdelays: dict[str, float] = {}

    def receive(self, deliveries: list[Column], messages: list[Column]) -> None:
        counts, xdelays, wanted = self.counts, self.xdelays, self.kind
        for kind, start, end, reason in zip(*deliveries, strict=True):
            if kind == wanted:
                counts[reason] = counts.get(reason, 0) + 1
                xdelays[reason] = xdelays.get(reason, 0.0) + (end - start)

    def lines(self) -> list[str]:
        return [f"{count} {self.xdelays[reason]:.2f} {reason}" for reason, count in self.counts.items()]


class Recipients(Tally):
    """Deliveries by recipient, with the channel in front of the address."""

    deliveries = (2, 4, 5, 6, 8)
    key: Callable[[str], str] = staticmethod(str)

    def __init__(self) -> None:
        self.totals: dict[str, list[float]] = {}  # bytes of successes, successes and failures, attempts, xdelay

    def receive(self, deliveries: list[Column], messages: list[Column]) -> None:
        totals, key = self.totals, self.key
        for kind, start, end, size, recipient in zip(*deliveries, strict=True):
            name = key(recipient)
            total = totals.get(name)
            if total is None:
                total = totals[name] = [0, 0, 0, 0.0]
            if kind == "k":
                total[0] += size
                total[1] += 1
                total[2] += 1
            elif kind == "d":
                total[1] += 1
                total[2] += 1
            elif kind == "z":
                total[2] += 1
            total[3] += end - start

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
        # xdelay, messages, bytes, weighted by successes, by recipients; recipients, attempts
        self.totals: dict[str, list[float]] = {}

    @staticmethod
    def arranged(lines: list[str]) -> list[str]:
        """By uid, then as text."""
        by_uid: dict[str, list[str]] = {}
        for line in lines:
            by_uid.setdefault(_last_column(line).partition("/")[0], []).append(line)
        by_number: dict[float, list[str]] = {}
        for uid, some in by_uid.items():
            by_number.setdefault(awk.number(uid), []).extend(some)
        return [line for number in sorted(by_number) for line in sorted(by_number[number])]

    def receive(self, deliveries: list[Column], messages: list[Column]) -> None:
        totals = self.totals
        starts, ends, senders, uids = deliveries
        for key, start, end in zip(self.keys(uids, senders), starts, ends, strict=True):
            total = totals.get(key)
            if total is None:
                totals[key] = [end - start, 0, 0, 0, 0, 0, 0]
            else:
                total[0] += end - start
        *columns, senders, uids = messages
        for key, size, k, d, z in zip(self.keys(uids, senders), *columns, strict=True):
            total = totals.get(key)
            if total is None:
                total = totals[key] = [0.0, 0, 0, 0, 0, 0, 0]
            done = k + d
            total[1] += 1
            total[2] += size
            total[3] += size * k
            total[4] += size * done
            total[5] += done
            total[6] += done + z

    @staticmethod
    def keys(uids: Column, senders: Column) -> Column:
        """What each line is counted under."""
        return [f"{uid}/{sender}" for uid, sender in zip(uids, senders, strict=True)]

    def lines(self) -> list[str]:
        return [
            f"{n} {size} {weighted} {by_recipients} {recipients} {tries} {xdelay:.6f} {key}"
            for key, (xdelay, n, size, weighted, by_recipients, recipients, tries) in self.totals.items()
            if n
        ]


class Uids(Senders):
    """Messages by the uid that queued them."""

    @staticmethod
    def keys(uids: Column, senders: Column) -> Column:
        return uids


class Distribution(Tally):
    """How soon successful deliveries were done: doneby, average and percentage."""

    deliveries = (2, 3, 5)

    def __init__(self) -> None:
        self.counts: dict[float, int] = {}  # ddelays as awk prints them: of six digits, or whole

    @staticmethod
    def arranged(lines: list[str]) -> list[str]:
        """As they are."""
        return lines

    def receive(self, deliveries: list[Column], messages: list[Column]) -> None:
        counts = self.counts
        for kind, birth, end in zip(*deliveries, strict=True):
            if kind == "k":
                ddelay = end - birth
                if not ddelay.is_integer():
                    ddelay = float(f"{ddelay:.6g}")
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
