"""Titles, explanations and column names of the reports."""

from __future__ import annotations

_ATTEMPTS = (
    ("mess", "counts the messages that came to an end here, delivered or failed"),
    ("tries", "counts the attempts, whatever became of them"),
    ("xdelay", "adds up how long these attempts took, in seconds"),
)
_REASONS = (
    ("del", "counts the deliveries that ended this way"),
    ("xdelay", "adds up how long they took, in seconds"),
    ("reason", "is what was reported"),
)
_SENDER = (
    ("mess", "counts finished messages"),
    ("bytes", "adds up their sizes"),
    ("sbytes", "adds up their sizes, once for each recipient that got it"),
    ("rbytes", "adds up their sizes, once for each recipient"),
    ("recips", "counts their recipients, delivered or failed"),
    ("tries", "counts the attempts to deliver them"),
    ("xdelay", "adds up how long attempts took, in seconds"),
)
_SBYTES = ("sbytes", "adds up the bytes delivered here")


def _heading(title: str, intro: str, columns: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    prose = "".join(f"* {name} {meaning}.\n" for name, meaning in columns)
    return f"{title}\n\n{intro}\n{prose}\n", " ".join(name for name, _ in columns)


# Text in front of the table, and the table's first row.
HEADINGS = {
    "zdeferrals": _heading("Reasons for deferral", "Each line is a reason.", _REASONS),
    "zfailures": _heading("Reasons for failure", "Each line is a reason.", _REASONS),
    "zsuccesses": _heading("Reasons for success", "Each line is a reason.", _REASONS),
    "zrecipients": _heading(
        "Recipients", "Each line is a recipient.", (_SBYTES, *_ATTEMPTS, ("recipient", "has its channel in front"))
    ),
    "zrhosts": _heading(
        "Recipient hosts", "Each line is a host.", (_SBYTES, *_ATTEMPTS, ("host", "is what follows the last @"))
    ),
    "zrxdelay": _heading(
        "Recipients in the best order for mailing lists",
        "Each line is a recipient; whoever is quickly done with comes first.",
        (
            ("avg", "is how long an attempt took on the average, in seconds"),
            ("tries", "counts the attempts"),
            ("recipient", "has its channel in front"),
        ),
    ),
    "zsenders": _heading(
        "Senders", "Each line is a sender.", (*_SENDER, ("sender", "is the uid that queued, and the address"))
    ),
    "zsuids": _heading("Sender uids", "Each line is a uid that queued mail.", (*_SENDER, ("uid", "is the number"))),
    "zddist": (
        "Distribution of ddelays for successful deliveries\n\n"
        "After doneby seconds, pct percent of the successful deliveries were done;\n"
        "avg is the average of the different ddelays up to there.\n\n",
        "doneby avg pct",
    ),
    "zoverall": (
        "Basic statistics\n\n"
        "qtime is how long a message was in the queue.\n\n"
        "ddelay is how long a recipient waited for a message that was delivered:\n"
        "from queueing to the end of the delivery.\n\n"
        "xdelay is how long an attempt took, successful or not. All xdelays divided\n"
        "by the time span are the average concurrency: how many deliveries were\n"
        "under way at a time, and so how busy qmail-send was.\n\n",
        "",
    ),
}
