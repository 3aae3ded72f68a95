"""The argument of MAIL and RCPT: an address in the sender's form to the envelope's.  qmail-smtpd(8), RFC 5321 4.1.2.

    <@a,@b:"a b"@example.org> SIZE=5      the address a b@example.org, and SIZE=5 for who knows parameters
    FROM:a@example.org SIZE=5             without "<": from behind the first colon to an unquoted space
    a@example.org                         neither: the empty address

The words before the address are never looked at, a missing ">" is forgiven."""

from __future__ import annotations

from ucspi.core import ip

LONGEST = 899  # bytes of an address, as stored; the original's buffer of 900 held a NUL as well
# Where the reading of a quoted address gives up.  Longer than LONGEST, because the domain may yet be replaced.
TOO_LONG = 4096


def parse(argument: bytes) -> tuple[bytes, bytes]:
    """Split the argument into the address, unquoted, and what follows it."""
    before, opened, text = argument.partition(b"<")
    if opened:
        terminator = b">"
    else:
        text = before.partition(b":")[2].lstrip(b" ")
        terminator = b" "
    if text.startswith(b"@"):
        text = text.partition(b":")[2]  # the source route of RFC 821: other servers we would have to pass
    if b'"' in text or b"\\" in text:
        return _unquote(text, terminator[0])
    address, _, rest = text.partition(terminator)
    return address, rest


def _unquote(text: bytes, terminator: int) -> tuple[bytes, bytes]:
    address = bytearray()
    quoted = literal = False
    for at, byte in enumerate(text):
        if literal:
            literal = False
            address.append(byte)
        elif byte == terminator and not quoted:
            return bytes(address), text[at + 1 :]
        elif byte == 0x5C:  # backslash
            literal = True
        elif byte == 0x22:  # quote
            quoted = not quoted
        else:
            address.append(byte)
        if len(address) > TOO_LONG:
            break
    return bytes(address), b""


def literal(address: bytes) -> bytes | None:
    """The IP address, as inet_ntop writes it, of an address like x@[192.0.2.1] or x@[IPv6:::1]; None for any other.

    Each number of IPv4 is cut to its low 8 bits, as the original does: [383.0.0.01] is 127.0.0.1."""
    if not address.endswith(b"]"):
        return None
    domain = address.rpartition(b"@")[2] if b"@" in address else b""
    if domain[:6].lower() == b"[ipv6:":  # RFC 5321 4.1.3
        return ip.canonical(domain[6:-1]) if b":" in domain[6:-1] else None
    numbers = domain[1:-1].split(b".")
    if not domain.startswith(b"[") or len(numbers) != 4 or not all(number.isdigit() for number in numbers):
        return None
    # The last 8 digits decide the low 8 bits; more of them could be more than int() accepts.
    return b".".join(b"%d" % (int(number[-8:]) & 0xFF) for number in numbers)
