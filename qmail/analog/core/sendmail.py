"""Lines of matchup in the manner of sendmail's log.  zsendmail(1)."""

from __future__ import annotations

from qmail.analog.core.awk import number, show

_STATES = {"k": "Sent", "d": "Failed"}


def as_sendmail(text: bytes) -> bytes:
    """Whole lines; other lines than deliveries and messages stay."""
    return "".join([f"{_line(line)}\n" for line in text.decode("latin-1").removesuffix("\n").split("\n")]).encode(
        "latin-1"
    )


def _line(line: str) -> str:
    if not line.startswith(("d", "m")):
        return line
    fields = [field for field in line.replace("\t", " ").split(" ") if field]
    fields += [""] * (11 - len(fields))
    if line.startswith("d"):
        _, kind, birth, start, end, _, _, recipient, qp, uid, reason = fields[:11]
        ddelay, xdelay = number(end) - number(birth), number(end) - number(start)
        return (
            f"{end} qp {qp}: to={recipient}, uid={uid}, ddelay={ddelay:.6f}, xdelay={xdelay:.6f},"
            f" stat={_STATES.get(kind, 'Deferred')} ({reason})"
        )
    _, birth, end, size, successes, failures, deferrals, sender, qp, uid = fields[:10]
    recipients = show(number(successes) + number(failures))
    return (
        f"{end} qp {qp}: from={sender}, uid={uid}, size={size}, nrcpts={recipients}, deferrals={deferrals},"
        f" qtime={number(end) - number(birth):.6f}"
    )
