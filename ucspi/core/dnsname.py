"""Names as DNS has them: text to labels and back, and the names under which addresses stand.  ucspi-tcp(7).

text       labels joined by dots; `\\ooo` is a byte in octal, so that any label can be written
answers    lower case, and anything but letters, digits, `-` and `_` as `\\ooo`; the root is `.`"""

from __future__ import annotations

import _socket
import errno

from ucspi.core import errtext
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def labels(name: bytes) -> tuple[bytes, ...]:
    """A dotted name as labels; `\\ooo` is a byte in octal, empty labels are skipped.  TemporaryFailure: no DNS name."""
    found: list[bytes] = []
    label = bytearray()
    at = 0
    while at < len(name):
        byte = name[at : at + 1]
        at += 1
        if byte == b".":
            if label:
                found.append(bytes(label))
                label.clear()
            continue
        if byte == b"\\" and at < len(name):
            digits = name[at : at + 3]
            digits = digits[: len(digits) - len(digits.lstrip(b"01234567"))]
            byte = bytes((int(digits, 8) & 255,)) if digits else name[at : at + 1]
            at += len(digits) or 1
        label += byte
    if label:
        found.append(bytes(label))
    if any(len(label) > 63 for label in found) or sum(map(len, found)) + len(found) > 254:
        raise TemporaryFailure(errtext.text(errno.EPROTO))
    return tuple(found)


def dotted(found: Sequence[bytes]) -> bytes:
    """Labels of an answer as text: lower case, anything unusual as `\\ooo`, the root as `.`."""
    return b".".join(_escape(label.lower()) for label in found if label) or b"."


def _escape(label: bytes) -> bytes:
    if label.translate(None, _PLAIN):
        return b"".join(bytes((byte,)) if byte in _PLAIN else b"\\%03o" % byte for byte in label)
    return label


_PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789-_"


def reverse_name(ip: bytes) -> bytes:
    """The name under which an address's PTR record stands."""
    if b":" in ip:
        return nibbles(ip) + b"ip6.arpa"
    return b".".join(reversed(ip.split(b"."))) + b".in-addr.arpa"


def nibbles(ip: bytes) -> bytes:
    """An IPv6 address as DNS spells it backwards, with a dot at the end."""
    packed = _socket.inet_pton(_socket.AF_INET6, ip.partition(b"%")[0].decode("ascii", "replace"))
    return b"".join(b"%x.%x." % (byte & 15, byte >> 4) for byte in reversed(packed))
