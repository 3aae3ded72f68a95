"""The page of statistics: figures (qmail.analog.core.figures) as one HTML document that needs nothing else.

Whatever comes from a log is escaped; there is no script, and a policy that forbids any."""

from __future__ import annotations

import os
import time
from html import escape
from typing import Any

from qmail.analog.core import plots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Rows = Sequence[dict[str, Any]]
    # heading, key of the row, how it is shown
    Column = tuple[str, str, str]

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
OUTCOMES = ("success", "deferral", "failure")
DAY = 86400
_UNITS = {60: "per minute", 3600: "per hour", 86400: "per day", 7 * 86400: "per week"}
_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")


def page(figures: dict[str, Any], now: float) -> str:
    """The document.  `now`: when it was made, seconds since 1970; times are local ones."""
    overall = figures["overall"]
    parts = [_head(overall, figures["warnings"], now), _tiles(overall), *_over_time(figures["time"])]
    parts += [_delays(figures["delays"]), *_lists(figures), _all(overall)]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Mail report</title>'
        f"<style>{_style()}</style></head>\n<body><main>\n{''.join(parts)}</main></body></html>\n"
    )


def _style() -> str:
    with open(os.path.join(os.path.dirname(__file__), "report.css")) as file:
        return file.read()


def _head(overall: dict[str, Any], warnings: dict[str, int], now: float) -> str:
    span = "no mail in these logs"
    if "first" in overall:
        span = f"{_moment(overall['first'])} to {_moment(overall['last'])}"
    text = f'<h1>Mail report</h1><p class="soft">{span}; made {_moment(now)}</p>'
    for what, times in warnings.items():
        text += f'<p class="warning">The logs have {count(times)} {escape(what)}: totals may be wrong.</p>'
    return text + "\n"


def _tiles(overall: dict[str, Any]) -> str:
    tries = overall["delivery attempts"]
    tiles = [
        ("messages completed", count(overall["completed messages"])),
        ("bytes in them", size(overall.get("bytes in completed messages", 0))),
        ("delivery attempts", count(tries)),
    ]
    if tries:
        tiles += [(outcome, percent(overall[outcome], tries)) for outcome in OUTCOMES]
    if "average ddelay per success" in overall:
        tiles.append(("average delay of a success", duration(overall["average ddelay per success"])))
    tiles.append(("refused at the door", count(overall["rejections"])))
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    return f'<dl class="tiles">{cells}</dl>\n'


def _over_time(table: dict[str, Any]) -> list[str]:
    bars: Rows = table["bars"]
    if not bars:
        return []
    unit = table["seconds"]
    labels = [time.strftime("%d %b" if unit >= DAY else "%d %b %H:%M", time.localtime(bar["start"])) for bar in bars]
    of = _UNITS.get(unit, f"per {duration(unit)}")

    def plot(name: str, *events: str) -> str:
        title = f"{name} {of}"
        say = size if events == ("bytes",) else count
        stacks = [[bar[event] for event in events] for bar in bars]
        return f"<h3>{escape(title)}</h3>{_key(events)}" + plots.bars(title, stacks, events, labels, say)

    rows = [{**bar, "when": label} for bar, label in zip(bars, labels, strict=True)]
    refused = any(bar["rejected"] for bar in bars)
    mail: list[Column] = [("from", "when", "name"), ("messages", "messages", "count"), ("bytes", "bytes", "size")]
    outcomes: list[Column] = [("from", "when", "name"), *((event, event, "count") for event in OUTCOMES)]
    pictures = plot("Messages completed", "messages") + plot("Bytes of them", "bytes")
    tries = plot("Delivery attempts", *OUTCOMES)
    if refused:
        tries += plot("Refused at the door", "rejected")
        outcomes.append(("refused", "rejected", "count"))
    return [
        _pair("Messages", pictures, _table(rows, mail, "Messages over time")),
        _pair("Deliveries", tries, _table(rows, outcomes, "Deliveries over time")),
    ]


def _delays(rows: Rows) -> str:
    if not rows:
        return ""
    labels = [duration(row["seconds"]) for row in rows]
    title = "Successes by delay, from the message's birth"
    plot = plots.bars(title, [[row["deliveries"]] for row in rows], ("success",), labels, count)
    reached = []
    for part in (50, 90, 99):
        within = next(row["seconds"] for row in rows if row["percent"] >= part)
        reached.append(f"{part} % within {duration(within)}")
    text = f'<h3>{escape(title)}</h3>{plot}<p class="note">{", ".join(reached)}.</p>'
    columns: list[Column] = [("at most", "seconds", "duration"), ("successes", "deliveries", "count")]
    columns.append(("so far", "percent", "percent"))
    return _pair("Delay", text, _table(rows, columns, "Successes by delay"))


def _lists(figures: dict[str, Any]) -> list[str]:
    distinct = figures["distinct"]
    outcomes: list[Column] = [("attempts", "tries", "count"), *((o, o, "count") for o in OUTCOMES)]
    outcomes += [("bytes", "bytes", "size"), ("time spent", "seconds", "duration")]
    reasons: list[Column] = [("times", "deliveries", "count"), ("time spent", "seconds", "duration")]
    senders: list[Column] = [("messages", "messages", "count"), ("bytes", "bytes", "size")]
    senders += [("recipients", "recipients", "count"), ("attempts", "tries", "count")]
    refused: list[Column] = [("by", "program", "name"), ("times", "times", "count")]

    def section(title: str, key: str, name: str, main: str, colour: str, columns: list[Column], of: int = 0) -> str:
        rows: Rows = figures[key]
        if not rows:
            return ""
        more = f"the {len(rows)} largest of {count(of)}" if of > len(rows) else ""
        shown = [(name, name, "name"), ("", main, f"bar {colour}"), *columns]
        return f'<h2>{title}</h2><p class="note">{more}</p>{_card(_table(rows, shown, title))}\n'

    return [
        section("Senders", "senders", "sender", "messages", "messages", senders, distinct["senders"]),
        section("Recipients", "recipients", "recipient", "tries", "success", outcomes, distinct["recipients"]),
        section("Recipients' hosts", "hosts", "host", "tries", "success", outcomes),
        section("Reasons for failure", "failures", "reason", "deliveries", "failure", reasons, distinct["failures"]),
        section(
            "Reasons for deferral", "deferrals", "reason", "deliveries", "deferral", reasons, distinct["deferrals"]
        ),
        section("Refused at the door", "rejections", "reason", "times", "rejected", refused, distinct["rejections"]),
        section("Refused clients", "clients", "client", "times", "rejected", refused[1:], distinct["clients"]),
    ]


def _all(overall: dict[str, Any]) -> str:
    rows = []
    for name, value in overall.items():
        shown = (
            _moment(value)
            if name in ("first", "last")
            else f"{value:,.6f}"
            if isinstance(value, float)
            else f"{value:,}"
        )
        rows.append(f'<tr><td class="name">{escape(name)}</td><td class="number">{shown}</td></tr>')
    note = '<p class="note">As zoverall has them; times in seconds.</p>'
    return f"<h2>All figures</h2>{note}{_card('<table>' + ''.join(rows) + '</table>')}\n"


# --- pieces


def _pair(title: str, picture: str, table: str) -> str:
    return f'<h2>{title}</h2><div class="pair"><figure class="card">{picture}</figure>{_card(table)}</div>\n'


def _card(table: str) -> str:
    # A box that scrolls must be reachable by keyboard.
    return f'<div class="card scroll" tabindex="0">{table}</div>'


def _key(events: Sequence[str]) -> str:
    if len(events) == 1:
        return ""
    return '<ul class="key">' + "".join(f'<li><i class="{event}"></i>{event}</li>' for event in events) + "</ul>"


def _table(rows: Rows, columns: Sequence[Column], title: str) -> str:
    def kind(how: str) -> str:
        return how if how == "name" else how.partition(" ")[0] if how.startswith("bar") else "number"

    whole = {key: max((row[key] for row in rows), default=0) for _, key, how in columns if how.startswith("bar")}
    head = "".join(f'<th scope="col" class="{kind(how)}">{escape(name)}</th>' for name, _, how in columns)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{kind(how)}">{_cell(row[key], how, whole.get(key, 0))}</td>' for _, key, how in columns)
        + "</tr>"
        for row in rows
    )
    return f'<table aria-label="{escape(title)}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(value: Any, how: str, whole: float) -> str:
    if how.startswith("bar "):
        return plots.share(value, whole, how[4:])
    if how == "percent":
        return f"{value:.1f} %"
    say: dict[str, Callable[[Any], str]] = {"count": count, "size": size, "duration": duration, "name": str}
    return escape(say[how](value))


# --- numbers for people


def count(value: float) -> str:
    """A number of things."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def size(value: float) -> str:
    """A number of bytes."""
    unit = 0
    while value >= 1000 and unit < len(_SIZES) - 1:
        value /= 1000
        unit += 1
    return f"{value:.0f} {_SIZES[unit]}" if unit == 0 or value >= 100 else f"{value:.3g} {_SIZES[unit]}"


def duration(seconds: float) -> str:
    """A time, in the unit that suits it."""
    for limit, unit, name in ((1, 0.001, "ms"), (120, 1, "s"), (7200, 60, "min"), (2 * DAY, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / DAY:.3g} days"


def percent(part: float, whole: float) -> str:
    """A share."""
    return f"{100 * part / whole:.1f} %"


def _moment(when: float) -> str:
    return escape(time.strftime("%d %B %Y, %H:%M %Z", time.localtime(when)))
