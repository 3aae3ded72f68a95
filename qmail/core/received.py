"""The trace line that a server puts above the mail it takes.  qmail-smtpd(8), RFC 5321 4.4.

    Received: from REMOTEHOST[ (HELO NAME)] ([INFO@]IP)
      by LOCAL with PROTOCOL; DATE

What others chose (names, HELO, ident answers) must not look like anything but a word here: see safe()."""

from __future__ import annotations

from qmail.core import datestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN = b"unknown"
_SAFE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.@%+/=:-[]"
_TABLE = bytes(byte if byte in _SAFE else 0x3F for byte in range(256))


def safe(text: bytes) -> bytes:
    """`text` with "?" for every byte that could mean something in a header: blanks, parentheses, 8-bit, underscores."""
    return text.translate(_TABLE)


def received(env: Mapping[bytes, bytes], protocol: bytes, helo: bytes | None, now: int | float) -> bytes:
    """Return the trace line of a connection, described by its TCP* variables; `helo` is what the client called itself.

    HELO is shown only where it tells something: if the client gave it and it is not the name that DNS gave."""
    remotehost = env.get(b"TCPREMOTEHOST", UNKNOWN)
    info = env.get(b"TCPREMOTEINFO")
    local = env.get(b"TCPLOCALHOST", env.get(b"TCPLOCALIP", UNKNOWN))
    return b"Received: from %b%b (%b%b)\n  by %b with %b; %b\n" % (
        safe(remotehost),
        b"" if helo is None or helo.lower() == remotehost.lower() else b" (HELO %b)" % safe(helo),
        b"" if info is None else safe(info) + b"@",
        safe(env.get(b"TCPREMOTEIP", UNKNOWN)),
        safe(local),
        protocol,
        datestamp.rfc822(now),
    )
