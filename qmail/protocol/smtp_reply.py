"""Enhanced status codes in replies.  RFC 2034, RFC 3463.

The original ends many replies with a code in parentheses, for people: `553 sorry ... (#5.7.1)`.  A client that has
said EHLO, and so has been offered ENHANCEDSTATUSCODES, gets that code at the front as well: `553 5.7.1 sorry ...
(#5.7.1)`.  The text stays what it was, so that whoever searches a log for it still finds it; a client that has said
HELO gets the original's replies byte for byte."""

from __future__ import annotations


def enhanced(reply: bytes, status: bytes = b"") -> bytes:
    """`reply` with its code: `status`, else the one in its text, else one that says no more than the reply's class."""
    kind = reply[:1]
    if not status:
        status = _in_text(reply)
    if not status.startswith(kind + b"."):
        status = kind + b".0.0"
    return b"%b %b %b" % (reply[:3], status, reply[4:])


def _in_text(reply: bytes) -> bytes:
    status = reply.rpartition(b"(#")[2].partition(b")")[0]
    return status if status.count(b".") == 2 and status.replace(b".", b"").isdigit() and len(status) <= 9 else b""
