"""What qmail-qctl asks of qmail-send, and what it is answered.  qmail-qctl(8).

hold/ctl is a socket of packets (SOCK_SEQPACKET); each request is one packet and is answered by one:

    request   verb 0x00 text 0x00 item*        verb: hold release retry fail delete; text: why (fail)
    item      b"N" number b"." birth 0x00 ( b"L" address 0x00 | b"R" address 0x00 )*
    answer    for each item  b"K" settled b"." under_way 0x00   or  b"D" reason 0x00   or  b"Z" reason 0x00

`birth` says which message of that number is meant.  An item without addresses means the whole message.  K counts
recipients: those the request has been carried out for, and those whose delivery is under way."""

from __future__ import annotations

from ucspi.core import scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SOCKET = b"ctl"  # in hold/
VERBS = (b"hold", b"release", b"retry", b"fail", b"delete")
PACKET = 65536  # bytes in a packet at most
ITEMS = 50  # items in a packet at most: qmail-send does nothing else meanwhile
GONE = b"gone"  # the D reason of a message that is no longer there


def address(directory: int) -> str:
    """The socket's path by way of an open directory: a home may be longer than the 107 bytes that an address holds."""
    return f"/proc/self/fd/{directory}/{SOCKET.decode()}"


class Malformed(ValueError):
    """Not a request, or not an answer."""


class Item:
    """One message, by number and birth; `keys` are recipients as in hold/N, none: all of them."""

    __slots__ = ("birth", "keys", "number")

    def __init__(self, number: int, birth: int, keys: Iterable[bytes] = ()) -> None:
        self.number, self.birth, self.keys = number, birth, set(keys)

    def means(self, key: bytes) -> bool:
        """Is this recipient meant?"""
        return not self.keys or key in self.keys

    def pack(self) -> bytes:
        return b"N%d.%d\0" % (self.number, self.birth) + b"".join(key + b"\0" for key in sorted(self.keys))


def packets(verb: bytes, text: bytes, items: Iterable[Item]) -> Iterator[tuple[bytes, list[Item]]]:
    """The requests that it takes, each with its items; a message with very many recipients comes in several."""
    head = b"%b\0%b\0" % (verb, text)
    data, inside = head, list[Item]()
    for item in items:
        for piece in _split(item, PACKET - len(head)):
            packed = piece.pack()
            if inside and (len(data) + len(packed) > PACKET or len(inside) >= ITEMS):
                yield data, inside
                data, inside = head, []
            data += packed
            inside.append(piece)
    if inside:
        yield data, inside


def _split(item: Item, room: int) -> Iterator[Item]:
    if len(item.pack()) <= room:
        yield item
        return
    keys: list[bytes] = []
    size = 64  # more than the N record takes
    for key in sorted(item.keys):
        if keys and size + len(key) + 1 > room:
            yield Item(item.number, item.birth, keys)
            keys, size = [], 64
        keys.append(key)
        size += len(key) + 1
    yield Item(item.number, item.birth, keys)


def unpack(packet: bytes) -> tuple[bytes, bytes, list[Item]]:
    """(verb, text, items) of a request.  Raises Malformed."""
    verb, *rest = packet.split(b"\0")
    if verb not in VERBS or len(rest) < 2 or rest.pop():
        raise Malformed("no request")
    text, *records = rest
    items: list[Item] = []
    for record in records:
        letter, value = record[:1], record[1:]
        if letter == b"N":
            number, _, birth = value.partition(b".")
            if not (scan.is_number(number) and scan.is_number(birth)):
                raise Malformed("no message")
            items.append(Item(scan.number(number), scan.number(birth)))
        elif letter in (b"L", b"R") and items:
            items[-1].keys.add(record)
        else:
            raise Malformed("no item")
    return verb, text, items


def done(settled: int, under_way: int) -> bytes:
    """The answer about an item that could be dealt with."""
    return b"K%d.%d\0" % (settled, under_way)


def gone() -> bytes:
    """The answer about a message that is not there any more."""
    return b"D%b\0" % GONE


def trouble(reason: bytes) -> bytes:
    """The answer about an item that could not be dealt with now."""
    return b"Z%b\0" % reason.replace(b"\0", b"")


def answers(packet: bytes) -> list[bytes]:
    """The answers in a packet, one for each item of the request.  Raises Malformed."""
    *found, rest = packet.split(b"\0")
    if rest or not all(answer[:1] in (b"K", b"D", b"Z") for answer in found):
        raise Malformed("no answer")
    return found


def counts(answer: bytes) -> tuple[int, int]:
    """(settled, under way) of a K answer."""
    settled, _, under_way = answer[1:].partition(b".")
    return scan.number(settled), scan.number(under_way)
