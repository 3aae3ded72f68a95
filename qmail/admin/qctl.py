"""List messages of the queue, hold them, release, try now, fail or delete them, while qmail-send runs.  qmail-qctl(8).

    qmail-qctl list    [--json] [-s sender] [-r recipient] [number ...]
    qmail-qctl hold    [-n] [-s sender] [-r recipient] [--all] [number ...]
    qmail-qctl release, retry, delete: the same; fail: [-m text], too

Options may also stand before the verb.  -s and -r may be given more than once, and take patterns with * and ?.  With
-r only the recipients that match are meant, without it whole messages.  qmail-send does what is asked itself, between
two deliveries; where none runs, it is done to the queue directly.

Exits 0; 100 if there is no such message, or on bad usage; 111 if something could not be done now."""

from __future__ import annotations

import os

from qmail.core import approach, instance, intervention, listing
from qmail.core.queuedir import Queue
from qmail.core.selection import Selection
from ucspi.core import errtext, scan, streams
from ucspi.core.command import Call, Flag, Long, Program, Value
from ucspi.core.failure import TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE = "qmail-qctl list|hold|release|retry|fail|delete [ -n ] [ -s sender ] [ -r recipient ] [ number ... ]"
PROGRAM = Program(
    "qmail-qctl",
    __doc__,
    options=(
        Value("s", "PATTERN", "Messages whose envelope sender matches; may be repeated."),
        Value("r", "PATTERN", "Recipients that match; may be repeated."),
        Value("m", "TEXT", "What the bounce says (fail)."),
        Flag("n", "Only say what would be done."),
        Long("all", "Every message, where neither number nor pattern is given."),
        Long("json", "A JSON array (list)."),
    ),
    usage=USAGE,
    operands="VERB [NUMBER]...",
)

DONE = {b"hold": b"held", b"release": b"released", b"retry": b"due", b"fail": b"failed", b"delete": b"deleted"}


def qctl(call: Call) -> int:
    """The program."""
    if not call.operands:
        raise UsageFailure
    verb = call.operands[0]
    options, words = PROGRAM.parse([call.argv0, *call.operands[1:]])
    call.options += options
    selection = _selection(call, words)
    home = instance.of(call.env)
    queue = Queue(home.queue)
    try:
        if verb == b"list":
            return _list(call, queue, selection)
        if verb not in intervention.VERBS:
            raise UsageFailure
        if not (words or call.value("s") is not None or call.value("r") is not None or call.given("all")):
            raise UsageFailure
        return _intervene(call, home, queue, verb, selection)
    except listing.Unreadable as e:
        raise TemporaryFailure(f"unable to read {os.fsdecode(e.filename)}: {errtext.text(e)}") from e


def _selection(call: Call, words: list[bytes]) -> Selection:
    numbers: dict[int, None] = {}  # in their order
    for word in words:
        digits = word.removeprefix(b"#")
        if not scan.is_number(digits):
            raise UsageFailure
        numbers[scan.number(digits)] = None
    patterns = {letter: [value or b"" for name, value in call.options if name == letter] for letter in "sr"}
    return Selection(list(numbers), patterns["s"], patterns["r"])


# list


def _list(call: Call, queue: Queue, selection: Selection) -> int:
    if not call.given("json"):
        missing = set(selection.numbers)
        for message, recipients in selection.messages(queue):
            missing.discard(message.number)
            streams.write_all(1, message.headline() + b"".join([each.line() for each in recipients]))
        return _missing(call, queue, missing)
    import json  # 5 ms, and only for scripts

    before = b"["
    for message, recipients in selection.messages(queue):
        try:
            streams.write_all(1, before + b"\n" + json.dumps(message.json(recipients)).encode())
            before = b","
        except FileNotFoundError:
            continue  # delivered meanwhile
    streams.write_all(1, (b"[" if before == b"[" else b"\n") + b"]\n")
    return 0


def _missing(call: Call, queue: Queue, numbers: set[int]) -> int:
    """Complain of those that are not in the queue; the others were there and did not match."""
    gone = [number for number in sorted(numbers) if listing.find(queue, number) is None]
    for number in gone:
        call.warn(b"#%d: no such message" % number)
    return 100 if gone else 0


# All else


def _intervene(call: Call, home: instance.Instance, queue: Queue, verb: bytes, selection: Selection) -> int:
    if call.given("n"):
        for message, recipients in selection.messages(queue):
            waiting = sum(not each.done for each in recipients)
            if waiting or selection.whole:
                streams.write_all(1, b"would %b #%d: %b\n" % (verb, message.number, _recipients(waiting)))
        return 0
    missing = set(selection.numbers)
    code = 0
    way = approach.find(home, queue)
    try:
        items = _items(call, queue, selection, missing)
        for packet, inside in intervention.packets(verb, call.value("m") or b"", items):
            found = intervention.answers(way.ask(packet))
            if len(found) != len(inside):
                raise TemporaryFailure("qmail-send does not understand")
            for item, answer in zip(inside, found, strict=True):
                code = max(code, _say(call, verb, item.number, answer))
    finally:
        way.close()
    new = [number for number in missing if os.path.lexists(queue.todo(number))]
    return max(code, 111 if new else 0, _missing(call, queue, missing.difference(new)))


def _items(call: Call, queue: Queue, selection: Selection, missing: set[int]) -> Iterator[intervention.Item]:
    for message, recipients in selection.messages(queue):
        if message.waiting:
            call.warn(b"#%d: new; try again when its first attempt is over" % message.number)
            continue
        missing.discard(message.number)
        keys = [] if selection.whole else [each.key for each in recipients if not each.done]
        if keys or selection.whole:
            yield intervention.Item(message.number, message.birth, keys)


def _say(call: Call, verb: bytes, number: int, answer: bytes) -> int:
    if answer[:1] == b"K":
        settled, under_way = intervention.counts(answer)
        rest = b", %d under way" % under_way if under_way else b""
        streams.write_all(1, b"%b #%d: %b%b\n" % (DONE[verb], number, _recipients(settled), rest))
        return 0
    call.warn(b"#%d: %b" % (number, b"no such message" if answer[:1] == b"D" else answer[1:]))
    return 100 if answer[:1] == b"D" else 111


def _recipients(count: int) -> bytes:
    return b"%d recipient%b" % (count, b"" if count == 1 else b"s")


main = PROGRAM.entry(qctl)
