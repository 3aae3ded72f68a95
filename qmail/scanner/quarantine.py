"""Look after the mail that the scanner has kept.  quarantine(8).

list                           a line for each: name, kind, bytes, date, sender, recipients, what was found
show [-r] NAME                 the message, unprintable bytes as question marks; -r: as it is
release NAME [RECIPIENT...]    put it into the queue, unscanned, for its recipients or for those; then it is gone
delete NAME...                 remove it

Exits 0; 100 if there is no such message, 111 on other trouble."""

from __future__ import annotations

import os
import time

from qmail.core import instance, submit
from qmail.scanner import owner, quarantined, record, safe, settings
from ucspi.core import streams
from ucspi.core.command import Call, Flag, Program
from ucspi.core.failure import PermanentFailure, TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = Program(
    "quarantine",
    __doc__,
    options=(Flag("r", "With show: the message as it is, for a file."),),
    usage="quarantine list | show [ -r ] name | release name [ recipient ... ] | delete name ...",
    operands="COMMAND [NAME...]",
)
# For a terminal: newlines and tabs, and what is printable.
_SHOWN = bytes(byte if 32 <= byte <= 126 or byte in b"\n\t" else 0x3F for byte in range(256))


def quarantine(call: Call) -> int:
    """The program."""
    command, *words = call.operands or [b""]
    raw = call.given("r")
    if words[:1] == [b"-r"]:
        raw, words = True, words[1:]
    do, least, most = COMMANDS.get(command, (None, 0, 0))
    if do is None or not least <= len(words) <= most or (raw and command != b"show"):
        raise UsageFailure
    spool = settings.load(instance.of(call.env)).spool
    try:
        if command == b"release":
            do(call, spool, words, raw)  # into the queue as who we are
        else:
            with owner.of(spool):
                do(call, spool, words, raw)
    except BrokenPipeError:
        pass  # the reader has seen enough
    return 0


def _list(call: Call, spool: bytes, words: list[bytes], raw: bool) -> None:
    damaged = 0
    for path in quarantined.all_in(spool):
        try:
            found = quarantined.Quarantined(path)
        except FileNotFoundError:
            continue  # released or deleted just now
        except (OSError, PermanentFailure) as error:
            call.warn(f"warning: {error}")
            damaged += 1
            continue
        date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found.when)).encode()
        recipients = safe.word(b",".join(found.recipients))
        columns = (
            *(safe.word(found.name), safe.word(found.kind), b"%d" % found.size, date),
            *(record.address(found.sender), recipients or b"-", safe.text(found.event)),
        )
        streams.write_all(1, b" ".join(columns) + b"\n")
    if damaged:
        raise TemporaryFailure(f"{damaged} messages cannot be read")


def _show(call: Call, spool: bytes, words: list[bytes], raw: bool) -> None:
    for block in quarantined.find(spool, words[0]).blocks():
        streams.write_all(1, block if raw else block.translate(_SHOWN))


def _release(call: Call, spool: bytes, words: list[bytes], raw: bool) -> None:
    """It leaves the quarantine when it lasts in the queue: a stop in between releases it twice, never not at all."""
    home = instance.of(call.env)
    with owner.of(spool):
        found = quarantined.find(spool, words[0])
        blocks = found.blocks()
        begin = next(blocks, b"")  # it is open now
    env = {name: value for name, value in call.env.items() if name != b"QMAILQUEUE"}
    if program := settings.load(home).raw("qmail-queue-binary"):
        env[b"QMAILQUEUE"] = program
    mail = submit.open_queue(call.with_env(env), home)
    try:
        mail.write(begin)
        for block in blocks:
            mail.write(block)
    except BaseException:
        mail.abandon()
        raise
    result = mail.close(found.sender, words[1:] or found.recipients)
    if result:
        failure = PermanentFailure if result.startswith(b"D") else TemporaryFailure
        raise failure(f"{os.fsdecode(safe.text(words[0]))} stays: {result[1:].decode('ascii', 'replace')}")
    with owner.of(spool):
        os.unlink(found.path)
    streams.write_all(1, b"%b released, qp %d\n" % (safe.word(found.name), mail.qp))


def _delete(call: Call, spool: bytes, words: list[bytes], raw: bool) -> None:
    for path in [quarantined.find(spool, word).path for word in words]:  # all of them, before any goes
        os.unlink(path)


MANY = 1 << 20
COMMANDS: dict[bytes, tuple[Callable[[Call, bytes, list[bytes], bool], None] | None, int, int]] = {
    b"list": (_list, 0, 0),
    b"show": (_show, 1, 1),
    b"release": (_release, 1, MANY),
    b"delete": (_delete, 1, MANY),
}

main = PROGRAM.entry(quarantine)
