"""qmail-send's log matched up: a line for each delivery attempt and each finished message.  matchup(1).

    d k|d|z birth start end bytes <sender> channel.recipient qp uid reason      success, failure, deferral
    m birth end bytes successes failures deferrals <sender> qp uid

A line is split at blanks; the first field is its time, the second says what happened.  Numbers are leading digits.
What is open when the input ends comes back from `pending`, in a form that can be put in front of the next log.

Ten million lines are an ordinary log, so there are two ways.  The quick one knows the lines as qmail-send writes
them, and works on text, because Python formats text three times as fast as bytes.  Whatever it does not know it
leaves to the exact one, before it has changed anything.  Only the exact one counts damage that changes no figure.  In
the state of both numbers have no leading zeros."""

from __future__ import annotations

import re

from qmail.analog.core.stamps import Normalizer
from ucspi.core import scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    # birth, bytes, <sender>, qp, uid, [successes, failures, deferrals]
    Message = tuple[str, str, str, str, str, list[int]]
    Delivery = tuple[str, str, str, str]  # start, number of the message, perhaps as it was written; channel, recipient

FIELDS = 12  # that have a meaning; a line may have more
_BLANKS = bytes.maketrans(b"\0\t", b"  ")
_PLAIN = re.compile(rb"\d+\.\d+ (?:new|info|starting|delivery|end|status:) ")
_KINDS = {"success:": ("k", 0), "failure:": ("d", 1), "deferral:": ("z", 2)}
_FEW = tuple(map(str, range(1000)))  # a look into it costs less than str()
_OUTCOMES = ((b"succ", "k", 0), (b"fail", "d", 1), (b"defer", "z", 2), (b"report", "z", 2))
_IGNORED = (b"status:", b"number", b"local", b"remote")
# Events as qmail-send writes them; the exact way understands worse, but says so.
_SOUND = {
    b"new": re.compile(rb"new msg \d+"),
    b"info": re.compile(rb"info msg \d+: bytes \d+ from <\S*> qp \d+ uid \d+"),
    b"extra": re.compile(rb"extra \d+ \d+ \d+ \d+"),
    b"starting": re.compile(rb"starting delivery \d+: msg \d+ to (?:local|remote) \S+"),
    b"delivery": re.compile(rb"delivery \d+: (?:(?:success|failure|deferral): \S*|report mangled, will defer)"),
    b"end": re.compile(rb"end msg \d+"),
}
_STAMP = re.compile(rb"\d+\.\d+|@[0-9a-f]+")
_NO_DAMAGE = (b"bounce", b"double", b"triple")
MANY = 100_000  # numbers that are remembered, to be known again
DIGITS = 19  # that fit into the original's unsigned long, whatever they are
_KEYS = re.compile(r"(?:[1-9]\d{0,18}:)*")

DAMAGED = "cut or damaged lines"
BACKWARDS = "times that are before what they follow"
STARTED_TWICE = "deliveries whose number was started again before their end"
BEGUN_TWICE = "messages whose number was given out again before their end"


class Matcher:
    """Blocks of a log in, blocks of output out.  Holds the open messages and deliveries, and an unfinished line."""

    __slots__ = ("_deliveries", "_messages", "_normalize", "_numbers", "_parts", "_started", "warnings")

    def __init__(self, now: float) -> None:
        """`now`: for stamps without a year; see stamps."""
        self._normalize = Normalizer(now)
        self._messages: dict[str, Message] = {}  # by number
        self._deliveries: dict[str, Delivery] = {}  # by number and colon
        self._parts: list[bytes] = []  # of a line whose end has not come
        self._started: list[str] = []  # keys of deliveries that are still to be checked
        self._numbers: dict[str, None] = {}  # of messages, known to be canonical; a set that keeps its order
        self.warnings: dict[str, int] = {}  # how often what was met that makes totals wrong

    def receive(self, data: bytes) -> bytes:
        """Output for the lines that `data` completes."""
        cut = data.rfind(b"\n")
        if cut < 0:
            self._parts.append(data)
            return b""
        self._parts.append(data[:cut])
        block = b"".join(self._parts)
        self._parts = [data[cut + 1 :]]
        out: list[str] = []
        self._block(block, out)
        return "".join(out).encode("latin-1")

    def pending(self) -> bytes:
        """Open messages, deliveries in progress and the unfinished line, as lines to begin the next log with."""
        out = []
        for number, (birth, size, sender, qp, uid, (k, d, z)) in self._messages.items():
            out.append(f"{birth} info msg {number}: bytes {size} from {sender} qp {qp} uid {uid}\n")
            out.append(f"{birth} extra {number} {k} {z} {d}\n")
        for key, delivery in self._deliveries.items():
            start, number, channel, recipient = exactly(delivery)
            out.append(f"{start} starting delivery {key} msg {number} to {channel} {recipient}\n")
        return "".join(out).encode("latin-1") + b"".join(self._parts)

    def unfinished(self) -> bytes:
        """Give up the beginning of a line that has been received."""
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def _block(self, block: bytes, out: list[str]) -> None:
        """Output, in pieces, for the lines of a block, which comes without its last newline."""
        lead = ""
        if not _PLAIN.match(block):
            blanks = block[: len(block) - len(block.lstrip(b" "))]
            # Fields that awk blanked: the same blanks before each line.
            if blanks and block.count(b"\n" + blanks) == block.count(b"\n"):
                lead = blanks.decode()
                block = block[len(blanks) :].replace(b"\n" + blanks, b"\n")
            else:
                block = self._normalize(block)
        elif block.rfind(b"\n@40000000") >= 0:  # half the price of `in`
            block = self._normalize(block)
        lines = block.decode("latin-1").split("\n")
        if b"\0" in block or b"\t" in block or not block.isascii():
            for line in lines:
                out.append(self._exact((lead + line).encode("latin-1")))  # noqa: PERF401  (a Part looks at `out`)
        else:
            self._quick(lines, lead, out.append)
            self._check()
            self._tidy()

    def _quick(self, lines: list[str], lead: str, add: Callable[[str], None]) -> None:
        """The quick way.  Fields are split at single blanks: an empty one would mean that fields are elsewhere.

        Nothing is changed before all is known to be in order; only numbers of deliveries are left to `_check`."""
        deliveries, messages, note = self._deliveries, self._messages, self._started.append
        announce, begin, end = self._quick_new, self._quick_info, self._quick_end
        for line in lines:
            fields = line.split(" ")
            try:
                action = fields[1]
                if action == "status:":
                    if fields[0]:
                        continue
                elif action == "starting":
                    stamp, _, word, key, msg, number, to, channel, recipient = fields
                    if key not in deliveries and stamp and word and msg and number and to and channel and recipient:
                        deliveries[key] = stamp, number, channel, recipient.lower()
                        note(key)
                        continue
                elif action == "delivery":
                    stamp, _, key, word, reason = fields
                    start, number, to, recipient = deliveries[key]
                    birth, size, sender, qp, uid, counts = messages[number]
                    kind, which = _KINDS[word]
                    if birth <= start <= stamp:
                        del deliveries[key]
                        counts[which] += 1
                        add(f"d {kind} {birth} {start} {stamp} {size} {sender} {to}.{recipient} {qp} {uid} {reason}\n")
                        continue
                elif (action == "new" and announce(fields)) or (action == "info" and begin(fields, line)):
                    continue
                elif action == "end" and (text := end(fields)):
                    add(text)
                    continue
            except (IndexError, KeyError, ValueError):
                pass
            self._slowly(lead + line, add)

    def _quick_new(self, fields: list[str]) -> bool:
        """A number is given out, if the quick way can tell that it is one.  Raises ValueError."""
        stamp, _, word, number = fields
        if stamp and word and number not in self._messages and _is_sound(number):
            self._numbers[number] = None
            return True
        return False

    def _quick_info(self, fields: list[str], line: str) -> bool:
        """A message begins, if it is one that the quick way can do.  Raises ValueError."""
        stamp, _, _, key, by, size, fr, sender, q, qp, u, uid = fields
        number = key[:-1]  # in `numbers`: then it is one, and in its place
        if number not in self._numbers or number in self._messages or key[-1] != ":":
            return False
        digits = size + qp + uid
        if not digits.isdigit() or len(digits) > DIGITS or (" 0" in line and not _canonical(size, qp, uid)):
            return False
        if stamp and by and size and fr and sender and q and qp and u and uid:
            self._messages[number] = (stamp, size, sender.lower(), qp, uid, [0, 0, 0])
            return True
        return False

    def _quick_end(self, fields: list[str]) -> str:
        """The line for a message that has ended, or nothing.  Raises ValueError, KeyError and IndexError."""
        stamp, _, word, number = fields
        birth, size, sender, qp, uid, (k, d, z) = self._messages[number]
        if birth > stamp or not word:
            return ""
        text = f"m {birth} {stamp} {size} {_FEW[k]} {_FEW[d]} {_FEW[z]} {sender} {qp} {uid}\n"
        del self._messages[number]
        return text

    def _slowly(self, line: str, add: Callable[[str], None]) -> None:
        if self._started:
            self._check()
        if text := self._exact(line.encode()):
            add(text)

    def _tidy(self) -> None:
        if len(self._numbers) > MANY:
            self._numbers.clear()

    def _check(self) -> None:
        """Deliveries that the quick way took for good: their numbers may be no such thing."""
        keys = self._started
        if not _KEYS.fullmatch("".join(keys)):
            for key in keys:
                begun = self._deliveries.get(key)
                if begun is not None and not _KEYS.fullmatch(key):
                    start, number, channel, recipient = begun
                    del self._deliveries[key]
                    self._exact(f"{start} starting delivery {key} msg {number} to {channel} {recipient}".encode())
        keys.clear()

    def _exact(self, line: bytes) -> str:
        """The exact way: output for one line, with its newline."""
        line = self._normalize(line)
        fields = lex(line)
        action = fields[1]
        if action in _IGNORED:
            return ""
        if action in (b"warning:", b"alert:"):
            return line.decode("latin-1") + "\n"
        if action in (b"running", b"exiting"):
            self._deliveries.clear()
            return ""
        handle = _HANDLERS.get(action)
        if handle is None:
            if _STAMP.fullmatch(fields[0]) and not action.endswith(b":") and action not in _NO_DAMAGE:
                self.warn(DAMAGED)
            return f"? {line.decode('latin-1')}\n"
        if not _STAMP.fullmatch(fields[0]) or not _SOUND[action].fullmatch(b" ".join(fields[1:]).rstrip(b" ")):
            self.warn(DAMAGED)
        return handle(self, fields)

    def _new(self, fields: list[bytes]) -> str:
        number = str(scan.number(fields[3]))
        self._numbers[number] = None
        self._forget(number)
        return ""

    def _info(self, fields: list[bytes]) -> str:
        number, size, qp, uid = (str(scan.number(fields[i])) for i in (3, 5, 9, 11))
        self._numbers[number] = None
        self._forget(number)
        self._messages[number] = (_text(fields[0]), size, _text(fields[7].lower()), qp, uid, [0, 0, 0])
        return ""

    def _forget(self, number: str) -> None:
        """A message whose end was not logged.  One that nothing was tried for is a message queued at the second try."""
        known = self._messages.pop(number, None)
        if known is not None and any(known[5]):
            self.warn(BEGUN_TWICE)

    def _extra(self, fields: list[bytes]) -> str:
        known = self._messages.get(str(scan.number(fields[2])))
        if known is not None:
            k, z, d = (scan.number(field) for field in fields[3:6])
            known[5][:] = (k, d, z)
        return ""

    def _starting(self, fields: list[bytes]) -> str:
        delivery, number = scan.number(fields[3]), scan.number(fields[5])
        key = f"{delivery}:"
        if key in self._deliveries:
            self.warn(STARTED_TWICE)
        self._deliveries[key] = _text(fields[0]), str(number), _text(fields[7]), _text(fields[8].lower())
        return ""

    def _delivery(self, fields: list[bytes]) -> str:
        begun = self._deliveries.pop(f"{scan.number(fields[2])}:", None)
        if begun is None:
            return ""
        start, number, channel, recipient = exactly(begun)
        stamp, reason = _text(fields[0]), _text(fields[4])
        message = self._messages.get(number)
        kind = "?"
        for word, letter, index in _OUTCOMES:
            if fields[3].startswith(word):
                kind = f"d {letter} "
                if message is not None:
                    message[5][index] += 1
                break
        else:
            reason = ""
        if fields[3].startswith(b"report"):
            reason = "report_mangled"
        if message is None:
            self._compare(stamp, start)
            return f"{kind}{start} {start} {stamp} 0 ? {channel}.{recipient} ? ? {reason}\n"
        birth, size, sender, qp, uid, _ = message
        self._compare(stamp, start, birth)
        return f"{kind}{birth} {start} {stamp} {size} {sender} {channel}.{recipient} {qp} {uid} {reason}\n"

    def _end(self, fields: list[bytes]) -> str:
        message = self._messages.pop(str(scan.number(fields[3])), None)
        if message is None:
            return ""
        birth, size, sender, qp, uid, (k, d, z) = message
        stamp = _text(fields[0])
        self._compare(stamp, birth)
        return f"m {birth} {stamp} {size} {k} {d} {z} {sender} {qp} {uid}\n"

    def _compare(self, stamp: str, *before: str) -> None:
        """Warn of a time that is before what must have come before it."""
        try:
            if float(stamp) < max(map(float, before)):
                self.warn(BACKWARDS)
        except ValueError:  # no times: warned of with their lines
            pass

    def warn(self, what: str) -> None:
        """Count something that makes totals wrong."""
        self.warnings[what] = self.warnings.get(what, 0) + 1


_HANDLERS = {
    b"new": Matcher._new,
    b"info": Matcher._info,
    b"extra": Matcher._extra,
    b"starting": Matcher._starting,
    b"delivery": Matcher._delivery,
    b"end": Matcher._end,
}


def lex(line: bytes) -> list[bytes]:
    """The fields of a line, FIELDS of them at least; those it has not are empty."""
    fields = [field for field in line.translate(_BLANKS).split(b" ") if field]
    return fields + [b""] * (FIELDS - len(fields))


def exactly(delivery: Delivery) -> Delivery:
    """The same, with the number as the exact way reads it."""
    start, number, channel, recipient = delivery
    return start, str(scan.number(number.encode())), channel, recipient


def _is_sound(number: str) -> bool:
    """Is it one as qmail-send writes it?"""
    return number.isdigit() and number[0] != "0" and len(number) <= DIGITS


def _canonical(*numbers: str) -> bool:
    """No leading zeros?"""
    return all(number == "0" or number[0] != "0" for number in numbers)


def _text(field: bytes) -> str:
    return field.decode("latin-1")
