"""Tell the sender of a message that it was delivered, if it asks for that, from a .qmail file.  qreceipt(1).

    | qreceipt deliveryaddress

A notice goes to SENDER if a field Notice-Requested-Upon-Delivery-To names just this address; it has no sender itself,
and there is none for a bounce.  Exits 0, also when nothing was asked for; 100 if a field cannot be read or the queue
refuses the notice, 111 if a later try may work."""

from __future__ import annotations

import os

from qmail.core import instance
from qmail.core.address import quote
from qmail.protocol.header822 import HeaderReader, field_name
from ucspi.core import streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import PermanentFailure, TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from qmail.protocol.address822 import Address

PROGRAM = Program(
    "qreceipt",
    __doc__,
    usage="qreceipt deliveryaddress",
    operands="DELIVERYADDRESS",
    preload=("qmail.core.submit", "qmail.protocol.address822"),
)

REQUEST = b"notice-requested-upon-delivery-to"
NOTICE = b"""From: DELIVERY NOTICE SYSTEM <%b>
To: <%b>
Subject: success notice

Hi! This is the qreceipt program. Your message was delivered to the
following address: %b. Thanks for asking.
"""


def qreceipt(call: Call) -> int:
    """The program."""
    sender = call.env.get(b"SENDER")
    if not call.operands or sender is None:
        raise UsageFailure
    address = call.operands[0]
    requested, message_id = False, b""
    for field in _header():
        name = field_name(field)
        if name == b"message-id":
            message_id = field
        elif name == REQUEST:
            requested = _names(field, address) or requested
    if requested and sender not in (b"", b"#@[]"):  # a notice about a bounce could be answered by another
        _send(call, sender, address, message_id)
    return 0


def _header() -> Iterator[bytes]:
    reader = HeaderReader()
    try:
        for block in streams.blocks(0):
            yield from reader.receive(block)
            if reader.body is not None:
                return
    except OSError as e:
        raise TemporaryFailure("read error") from e
    yield from reader.finish()


def _names(field: bytes, address: bytes) -> bool:
    """Is `address` in the list, to the letter?  Raises PermanentFailure."""
    from qmail.protocol import address822, token822  # few messages ask

    found: list[bytes] = []

    def see(each: Address) -> Address:
        found.append(token822.unquote(each))
        return each

    try:
        address822.rewrite_list(token822.parse(field), see)
    except token822.Malformed as e:
        text = os.fsdecode(field.removesuffix(b"\n"))
        raise PermanentFailure(f"unable to parse this: {text}") from e
    return address in found


def _send(call: Call, sender: bytes, address: bytes, message_id: bytes) -> None:
    from qmail.core import submit

    try:
        queue = submit.open_queue(call, instance.of(call.env))
    except OSError as e:
        raise TemporaryFailure("unable to fork") from e
    quoted = quote(sender)
    queue.write(NOTICE % (quoted, quoted, address))
    if message_id:
        queue.write(b"Your " + message_id)
    result = queue.close(b"", [sender])
    if result.startswith(b"D"):
        raise PermanentFailure("permanent qmail-queue error")
    if result:
        raise TemporaryFailure("temporary qmail-queue error")


main = PROGRAM.entry(qreceipt)
