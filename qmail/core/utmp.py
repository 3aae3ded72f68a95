"""Who is logged in: the file that login programs keep.  utmp(5) of the GNU C library.

    384-byte records:  type:2 0x00*2 pid:4 line:32 id:4 user:32 host:256 exit:4 session:4 time:8 address:16 0x00*20

Numbers are in the machine's order.  line is the terminal's name below /dev; type 7 is a user's session."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/run/utmp"
RECORD = struct.Struct("=h2xi32s4s32s256s32x20x")
USER_PROCESS = 7
LONGEST_USER = 32


def terminals(data: bytes, user: bytes) -> Iterator[bytes]:
    """The terminals on which `user` is logged in, from the bytes of the file."""
    if len(user) > LONGEST_USER:
        return
    whole = len(data) - len(data) % RECORD.size
    for kind, _, line, _, name, _ in RECORD.iter_unpack(data[:whole]):
        if kind == USER_PROCESS and name.partition(b"\0")[0] == user:
            yield line.partition(b"\0")[0]
