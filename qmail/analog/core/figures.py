"""What a page of statistics says, from what matchup says.  qmail-report(1), matchup(1).

Memory grows with distinct senders, recipients, reasons, clients and minutes, never with the number of lines.  All
that `result` returns is numbers, strings, lists and dicts: the JSON, and all that the page knows."""

from __future__ import annotations

import math
import re
from collections import defaultdict

from qmail.analog.core.awk import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Row = dict[str, object]
    Result = dict[str, object]

MINUTES = 200_000  # kept apart at most; more, and the whole is kept in units ten times as long
BARS = 96  # at the most, in a plot over time
UNITS = (60, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 7 * 86400, 28 * 86400)  # seconds of a bar
STEPS = 10  # of delays, to a factor of ten
SHORTEST = 0.001  # seconds; what is shorter counts as this
_REFUSED = re.compile(
    r"\? (?:(\d+\.\d+) )?.*?\b(rblsmtpd|qmail-(?:smtpd|qmtpd|qmqpd)): (\S+) pid \d+: "
    r"(?:from <[^>]*> )?(?:to <[^>]*> )?(\d\d\d[ -].*|[^ ].*)"
)
LATEST = 253402300800.0  # seconds since 1970: the year 10000, which no calendar here can name
_EVENT = ("k", "d", "z")  # how matchup calls the events from the third on
EVENTS = ("messages", "bytes", "success", "failure", "deferral", "rejected")


class Figures:
    """Blocks of matchup's output in, the result out."""

    def __init__(self) -> None:
        self._rest = ""
        self._first, self._last = math.inf, -math.inf
        self._messages = self._recipients = self._tries = self._bytes = self._weighted = 0
        self._qtime = self._ddelay = self._xdelay = 0.0
        self._deliveries = {"k": 0, "d": 0, "z": 0}
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
        for line in lines:
            kind = line[:2]
            try:
                if kind == "d ":
                    self._delivery(line)
                elif kind == "m ":
                    self._message(line)
                elif kind == "? ":
                    self._other(line)
            except ValueError:
                pass  # a line of the log itself that looks like one of matchup's
        if len(self._times["success"]) + len(self._times["rejected"]) > MINUTES:
            self._coarsen()

    def _delivery(self, line: str) -> None:
        """Raises ValueError, and has counted nothing then."""
        _, kind, birth, start, done, size, _, to, _, _, reason = line.split(" ", 10)
        born, ended = _times(birth, done)
        began = _times(start, done)[0] if start != birth else born
        length, event = int(size), _EVENT.index(kind)
        xdelay = ended - began
        self._xdelay += xdelay
        self._deliveries[kind] += 1
        if born < self._first:
            self._first = born
        if ended > self._last:
            self._last = ended
        known = self._to.get(to)
        if known is None:
            known = self._to[to] = [0, 0, 0, 0, 0.0]
        known[4] += xdelay
        known[event + 1] += 1
        self._times[EVENTS[event + 2]][int(ended) // self._minute] += 1
        if event == 0:
            ddelay = ended - born
            self._ddelay += ddelay
            self._delays[_step(ddelay)] += 1
            known[0] += length
            return
        reasons = self._reasons[kind]
        if reason in reasons:
            reasons[reason][0] += 1
            reasons[reason][1] += xdelay
        else:
            reasons[reason] = [1, xdelay]

    def _message(self, line: str) -> None:
        """Raises ValueError, and has counted nothing then."""
        _, birth, done, size, k, d, z, sender, _, _ = line.split(" ", 9)
        born, ended = _times(birth, done)
        length, successes, recipients = int(size), int(k), int(k) + int(d)
        tries = recipients + int(z)
        self._messages += 1
        self._recipients += recipients
        self._tries += tries
        self._bytes += length
        self._weighted += length * successes
        self._qtime += ended - born
        if born < self._first:
            self._first = born
        if ended > self._last:
            self._last = ended
        known = self._senders.get(sender)
        if known is None:
            known = self._senders[sender] = [0, 0, 0, 0]
        known[0] += 1
        known[1] += length
        known[2] += recipients
        known[3] += tries
        minute = int(ended) // self._minute
        self._times["messages"][minute] += 1
        self._times["bytes"][minute] += length

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
            self._times["rejected"][int(_number(stamp)) // self._minute] += 1

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

    def _overall(self) -> Row:
        """What zoverall says, by its labels; its arithmetic too."""
        deliveries = sum(self._deliveries.values())
        row: Row = {"completed messages": self._messages}
        if self._messages:
            row["recipients for completed messages"] = self._recipients
            row["delivery attempts for completed messages"] = self._tries
            row["average delivery attempts per completed message"] = self._tries / self._messages
            row["bytes in completed messages"] = self._bytes
            row["bytes weighted by success"] = self._weighted
            row["average message qtime"] = self._qtime / self._messages
        row["delivery attempts"] = deliveries
        if deliveries:
            row["success"], row["failure"] = self._deliveries["k"], self._deliveries["d"]
            row["deferral"] = self._deliveries["z"]
            row["total ddelay"] = self._ddelay
            if self._deliveries["k"]:
                row["average ddelay per success"] = self._ddelay / self._deliveries["k"]
            row["total xdelay"] = self._xdelay
            row["average xdelay per delivery attempt"] = self._xdelay / deliveries
        if self._last > self._first:
            row["first"], row["last"] = self._first, self._last
            row["time span in days"] = (self._last - self._first) / 86400
            row["average concurrency"] = self._xdelay / (self._last - self._first)
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
        total, below = self._deliveries["k"], 0
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


def _times(birth: str, done: str) -> tuple[float, float]:
    try:
        born, ended = float(birth), float(done)
        if 0 <= born < LATEST and 0 <= ended < LATEST:
            return born, ended
    except ValueError:
        pass
    return _number(birth), _number(done)


def _number(text: str) -> float:
    """A number as awk reads it: what the text starts with, or 0; and 0 for what can be no time."""
    value = number(text)
    return value if 0 <= value < LATEST else 0.0


def _step(delay: float) -> int:
    return (
        math.ceil(STEPS * math.log10(delay) - 1e-9) - 1 if delay > SHORTEST else int(STEPS * math.log10(SHORTEST)) - 1
    )


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
