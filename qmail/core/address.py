"""Mail addresses: where local part and host meet, and quoting for SMTP and message headers.  RFC 5321 4.1.2.

The last "@" divides; without "@" all is local part.  A local part that is no dot-string is written as quoted string;
the host is never touched."""

from __future__ import annotations

PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~."  # RFC 5321 atext, and dot


def split(address: bytes) -> tuple[bytes, bytes | None]:
    """Return (local part, host); host is None when there is no "@"."""
    local, at, host = address.rpartition(b"@")
    return (local, host) if at else (address, None)


def quote_local(local: bytes) -> bytes:
    """Return `local` quoted if it must be."""
    if local and not local.translate(None, PLAIN) and b".." not in local and b"." not in (local[:1], local[-1:]):
        return local
    for special in (b"\\", b'"', b"\r", b"\n"):  # backslash first: those of the others must not be doubled
        local = local.replace(special, b"\\" + special)
    return b'"' + local + b'"'


def quote(address: bytes) -> bytes:
    """Return `address` with its local part quoted if it must be; the empty address (of a bounce) stays empty."""
    if not address:
        return b""
    local, host = split(address)
    return quote_local(local) if host is None else quote_local(local) + b"@" + host
