"""Binary mailing lists, as setmaillist and newinclude write and fastforward and printmaillist read them.

entries, each ended by 0x00:    "&" address    "." or "/" name of another list"""

from __future__ import annotations

from qmail.core.forwardtable import ADDRESS, IGNORED, LISTS, Malformed, Truncated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def entries(data: bytes) -> Iterator[bytes]:
    """The entries, each checked.  Raises Malformed."""
    *whole, rest = data.split(b"\0")
    for entry in whole:
        if b"\n" in entry or not entry.startswith((ADDRESS, *LISTS)):
            raise Malformed(entry)
        if entry.startswith(ADDRESS) and len(entry) >= IGNORED:
            raise Malformed(entry)
        yield entry
    if rest:
        raise Truncated
