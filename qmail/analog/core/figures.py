"""What a page of statistics says, from what matchup says.  qmail-report(1), matchup(1).

Memory grows with distinct senders, recipients, reasons, clients and minutes, never with the number of lines.  All
that `result` returns is numbers, strings, lists and dicts: the JSON, and all that the page knows."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict

from qmail.analog.core import records
from qmail.analog.core.awk import number
from qmail.analog.core.overall import Overall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from qmail.analog.core.records import Column

    Row = dict[str, object]
    Result = dict[str, object]

MINUTES = 200_000  # kept apart at most; more, and the whole is kept in units ten times as long
BARS = 96  # at the most, in a plot over time
UNITS = (60, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 7 * 86400, 28 * 86400)  # seconds of a bar
STEPS = 10  # of delays, to a factor of ten
_SHORTEST, _LONGEST = -3 * STEPS, 12 * STEPS  # a millisecond, below which nothing is told apart, and for ever
# The longest delays of each step, with some room for what rounding has made of them.
_WITHIN = [10 ** ((step + 1 + 1e-9) / STEPS) for step in range(_SHORTEST, _LONGEST)]
_REFUSED = re.compile(
    r"\? (?:(\d+\.\d+) )?.*?\b(rblsmtpd|qmail-(?:smtpd|qmtpd|qmqpd)): (\S+) pid \d+: "
    r"(?:from <[^>]*> )?(?:to <[^>]*> )?(\d\d\d[ -].*|[^ ].*)"
)
LATEST = 253402300800.0  # seconds since 1970: the year 10000, which no calendar here can name
_EVENTS = {"k": "success", "d": "failure", "z": "deferral"}  # what matchup calls them
EVENTS = ("messages", "bytes", "success", "failure", "deferral", "rejected")


class Figures:
    """Blocks of matchup's output in, the result out."""

    def __init__(self) -> None:
        self._rest = ""
        self._delivery_lines = records.Lines("d", records.DELIVERY, (2, 3, 4, 5, 6, 8, 11))
        self._message_lines = records.Lines("m", records.MESSAGE, (2, 3, 4, 5, 6, 7, 8))
        self._totals = Overall()
        self._minute = 60
        self._times: dict[str, dict[int, int]] = {event: defaultdict(int) for event in EVENTS}
        self._delays: dict[int, int] = defaultdict(int)
        self._senders: dict[str, list[int]] = {}  # messages, bytes, recipients, tries
        self._to: dict[str, list[float]] = {}  # bytes, successes, failures, deferrals, xdelay
        self._reasons: dict[str, dict[str, list[float]]] = {"k": {}, "d": {}, "z": {}}  # count, xdelay
        self._refusals: dict[tuple[str, str], int] = defaultdict(int)  # by program and reply
        self._clients: dict[str, int] = defaultdict(int)

    def receive(self, data: bytes) -> None:
        """The next lines; the last one may be completed later."""
        *lines, self._rest = (self._rest + data.decode("latin-1")).split("\n")
        deliveries = _columns(self._delivery_lines, [line for line in lines if line[:2] == "d "], _delivery, 7)
        messages = _columns(self._message_lines, [line for line in lines if line[:2] == "m "], _message, 7)
        self._totals.receive(deliveries[:4], messages[:6])
        self._deliveries(*deliveries)
        self._messages(*messages)
        for line in lines:
            if line[:2] == "? ":
                self._other(line)
        if len(self._times["success"]) + len(self._times["rejected"]) > MINUTES:
            self._coarsen()

    def _deliveries(
        self, kinds: Column, births: Column, starts: Column, ends: Column, sizes: Column, to: Column, reasons: Column
    ) -> None:
        totals = self._to
        for kind, start, end, size, name, reason in zip(kinds, starts, ends, sizes, to, reasons, strict=True):
            xdelay = end - start
            known = totals.get(name)
            if known is None:
                known = totals[name] = [0, 0, 0, 0, 0.0]
            known[4] += xdelay
            if kind == "k":
                known[0] += size
                known[1] += 1
                continue
            known[2 if kind == "d" else 3] += 1
            by_reason = self._reasons[kind].setdefault(reason, [0, 0.0])
            by_reason[0] += 1
            by_reason[1] += xdelay
        for (kind, minute), n in Counter(zip(kinds, [end // self._minute for end in ends], strict=True)).items():
            self._times[_EVENTS[kind]][int(minute)] += n
        ddelays = [end - birth for kind, birth, end in zip(kinds, births, ends, strict=True) if kind == "k"]
        for i, n in Counter(bisect_left(_WITHIN, ddelay) for ddelay in ddelays).items():
            self._delays[_SHORTEST + i] += n

    def _messages(
        self, births: Column, ends: Column, sizes: Column, k: Column, d: Column, z: Column, senders: Column
    ) -> None:
        totals, octets = self._senders, self._times["bytes"]
        minutes = [int(end // self._minute) for end in ends]
        for minute, size, successes, failures, deferrals, sender in zip(minutes, sizes, k, d, z, senders, strict=True):
            known = totals.get(sender)
            if known is None:
                known = totals[sender] = [0, 0, 0, 0]
            recipients = successes + failures
            known[0] += 1
            known[1] += size
            known[2] += recipients
            known[3] += recipients + deferrals
            octets[minute] += size
        for minute, n in Counter(minutes).items():
            self._times["messages"][minute] += n

    def _other(self, line: str) -> None:
        """A line that is not qmail-send's: a refusal, perhaps."""
        if " pid " not in line:
            return
        found = _REFUSED.match(line)
        if found is None:
            return
        stamp, program, client, reply = found.groups()
        self._refusals[program, reply] += 1
        self._clients[client] += 1
        if stamp:
            self._times["rejected"][int(_time(stamp)) // self._minute] += 1

    def _coarsen(self) -> None:
        self._minute *= 10
        for event, counts in self._times.items():
            coarse: dict[int, int] = defaultdict(int)
            for minute, count in counts.items():
                coarse[minute // 10] += count
            self._times[event] = coarse

    def result(self, top: int, *, warnings: Mapping[str, int], pending: int, zone: int = 0) -> Result:
        """Everything, with lists of the `top` largest.  `pending`: messages that were still open.

        `zone`: seconds east of Greenwich, for days that begin at midnight."""
        refused = sum(self._refusals.values())
        rejections: list[Row] = [
            {"program": p, "reason": reply, "times": n} for (p, reply), n in self._refusals.items()
        ]
        return {
            "overall": {**self._overall(), "rejections": refused, "open messages": pending},
            "time": self._over_time(zone),
            "delays": self._delay_table(),
            "senders": _largest(self._sender_rows(), top, "messages", "bytes"),
            "recipients": _largest(_recipient_rows("recipient", self._to), top, "tries", "bytes"),
            "hosts": _largest(_recipient_rows("host", self._hosts()), top, "tries", "bytes"),
            "failures": _largest(_reason_rows(self._reasons["d"]), top, "deliveries", "seconds"),
            "deferrals": _largest(_reason_rows(self._reasons["z"]), top, "deliveries", "seconds"),
            "rejections": _largest(rejections, top, "times"),
            "clients": _largest(({"client": ip, "times": n} for ip, n in self._clients.items()), top, "times"),
            "distinct": {
                "senders": len(self._senders),
                "recipients": len(self._to),
                "failures": len(self._reasons["d"]),
                "deferrals": len(self._reasons["z"]),
                "rejections": len(self._refusals),
                "clients": len(self._clients),
            },
            "warnings": dict(warnings),
        }

    @property
    def is_empty(self) -> bool:
        """Has nothing happened?"""
        return not (self._totals.completed or self._totals.attempts or self._refusals)

    def _overall(self) -> Row:
        """What zoverall says, by its labels."""
        made = self._totals
        row: Row = {"completed messages": made.completed}
        if made.completed:
            row["recipients for completed messages"] = made.recipients
            row["delivery attempts for completed messages"] = made.tries
            row["average delivery attempts per completed message"] = made.tries / made.completed
            row["bytes in completed messages"] = made.bytes
            row["bytes weighted by success"] = made.weighted
            row["average message qtime"] = made.qtime / made.completed
        row["delivery attempts"] = made.attempts
        if made.attempts:
            row["success"], row["failure"], row["deferral"] = made.success, made.failure, made.deferral
            row["total ddelay"] = made.ddelay
            if made.success:
                row["average ddelay per success"] = made.ddelay / made.success
            row["total xdelay"] = made.xdelay
            row["average xdelay per delivery attempt"] = made.xdelay / made.attempts
        if made.span:
            row["first"], row["last"] = made.first, made.last
            row["time span in days"] = made.span / 86400
            row["average concurrency"] = made.xdelay / made.span
        return row

    def _over_time(self, zone: int) -> Row:
        minutes = set().union(*self._times.values())
        if not minutes:
            return {"seconds": UNITS[0], "bars": []}
        first, last = min(minutes) * self._minute + zone, (max(minutes) + 1) * self._minute + zone
        unit = next((u for u in UNITS if u >= self._minute and (last - first) / u <= BARS), UNITS[-1])
        unit = max(unit, -(-(last - first) // BARS // 86400) * 86400 if unit == UNITS[-1] else unit)
        sums: dict[str, dict[int, int]] = {event: defaultdict(int) for event in EVENTS}
        for event, counts in self._times.items():
            for minute, count in counts.items():
                sums[event][(minute * self._minute + zone) // unit] += count
        bars = [
            {"start": bar * unit - zone, **{event: sums[event].get(bar, 0) for event in EVENTS}}
            for bar in range(first // unit, (last - 1) // unit + 1)
        ]
        return {"seconds": unit, "bars": bars}

    def _delay_table(self) -> list[Row]:
        """How many successes took at most so many seconds, in steps that widen."""
        total, below = self._totals.success, 0
        rows: list[Row] = []
        for step in range(min(self._delays, default=0), max(self._delays, default=-1) + 1):
            count = self._delays.get(step, 0)
            below += count
            rows.append({"seconds": 10 ** ((step + 1) / STEPS), "deliveries": count, "percent": 100 * below / total})
        return rows

    def _sender_rows(self) -> Iterable[Row]:
        for sender, (messages, size, recipients, tries) in self._senders.items():
            yield {"sender": sender, "messages": messages, "bytes": size, "recipients": recipients, "tries": tries}

    def _hosts(self) -> dict[str, list[float]]:
        hosts: dict[str, list[float]] = {}
        for to, numbers in self._to.items():
            host = to.rpartition("@")[2]
            hosts[host] = [a + b for a, b in zip(hosts.get(host, [0, 0, 0, 0, 0.0]), numbers, strict=True)]
        return hosts


def _columns(
    lines: records.Lines, some: list[str], parse: Callable[[str], tuple[object, ...]], width: int
) -> list[Column]:
    """Columns of lines of one kind; without those of the log itself that only look like one of matchup's."""
    columns = lines.together(some)
    if columns is not None and all(max(column, default=0.0) < LATEST for column in columns if _is_time(column)):
        return columns
    rows = []
    for line in some:
        try:
            rows.append(parse(line))
        except ValueError:
            pass
    return list(zip(*rows, strict=True)) or [()] * width


def _is_time(column: Column) -> bool:
    return bool(column) and isinstance(column[0], float)


def _delivery(line: str) -> tuple[object, ...]:
    _, kind, birth, start, done, size, _, to, _, _, reason = line.split(" ", 10)
    if kind not in _EVENTS:
        raise ValueError
    return kind, _time(birth), _time(start), _time(done), int(size), to, reason


def _message(line: str) -> tuple[object, ...]:
    _, birth, done, size, k, d, z, sender, _, _ = line.split(" ", 9)
    return _time(birth), _time(done), int(size), int(k), int(d), int(z), sender


def _time(text: str) -> float:
    """A number as awk reads it: what the text starts with, or 0; and 0 for what can be no time."""
    value = number(text)
    return value if 0 <= value < LATEST else 0.0


def _recipient_rows(key: str, known: Mapping[str, list[float]]) -> Iterable[Row]:
    for name, (size, k, d, z, xdelay) in known.items():
        row: Row = {key: name, "tries": k + d + z, "success": k, "failure": d, "deferral": z}
        yield {**row, "bytes": size, "seconds": xdelay}


def _reason_rows(reasons: Mapping[str, list[float]]) -> Iterable[Row]:
    for reason, (count, xdelay) in reasons.items():
        yield {"reason": reason.replace("_", " "), "deliveries": int(count), "seconds": xdelay}


def _largest(rows: Iterable[Row], top: int, *keys: str) -> list[Row]:
    """The `top` rows that are largest by `keys`; equals in the order of their names."""
    import heapq

    def size(row: Row) -> tuple[object, ...]:
        return (
            *(-float(str(row[key])) for key in keys),
            *(str(value) for value in row.values() if isinstance(value, str)),
        )

    return [{key: _shown(value) for key, value in row.items()} for row in heapq.nsmallest(top, rows, key=size)]


def _shown(value: object) -> object:
    """Text as people read it; control characters and what is no UTF-8 are marked."""
    if not isinstance(value, str):
        return value
    text = value.encode("latin-1").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
