"""Which of our addresses a sender's mail goes out from, and by which name we introduce ourselves.  qmail-remote(8).

    control/helohost         our name; control/me without it
    control/outgoingip       an IPv4 address to go out from; 0.0.0.0: whichever the system chooses, as without the file
    control/outgoingip6      the same for IPv6
    control/domainbindings   lines  DOMAIN ":" [ADDRESSES] [":" NAME]  for mail from senders in DOMAIN, over the above

DOMAIN is the sender's, or `.name` for all below it, or empty for everything, bounces too.  ADDRESSES are separated
by commas, at most one of each family, IPv6 ones in brackets.  NAME takes the place of helohost."""

from __future__ import annotations

import _socket
import errno

from qmail.core.control import keymap, suffixes
from ucspi.core import ip
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.core.control import Control

ANY = (b"0.0.0.0", b"::")


class BadAddress(TemporaryFailure):
    """A control file names an address that is none, or none of ours."""

    def __init__(self, name: str) -> None:
        super().__init__(f"invalid ipaddr in control/{name} (#4.3.0)")


class Outgoing:
    """What a connection starts from.  `four` and `six` are b"" where the system is to choose."""

    __slots__ = ("four", "helo", "six", "source")

    def __init__(self, helo: bytes, four: bytes = b"", six: bytes = b"", source: str = "outgoingip") -> None:
        self.helo, self.four, self.six, self.source = helo, four, six, source

    def bind(self, socket: _socket.socket, address: bytes) -> None:
        """Give a socket that is going to connect to `address` its own address.  Raises BadAddress."""
        local = self.six if b":" in address else self.four
        if not local:
            return
        try:
            socket.bind((local.decode(), 0))
        except OSError as e:
            raise BadAddress(self.source) from e


def read(control: Control, sender: bytes) -> Outgoing:
    """What the control files say for this sender.  Raises OSError or BadAddress."""
    helo = control.line(b"helohost", me=True)
    if helo is None:
        raise FileNotFoundError(errno.ENOENT, "neither helohost nor me")
    found = Outgoing(helo)
    found.four = _address(control.line(b"outgoingip") or b"", "outgoingip", six=False)
    found.six = _address(control.line(b"outgoingip6") or b"", "outgoingip6", six=True)
    binding = _binding(keymap(control.entries(b"domainbindings") or ()), sender)
    if binding is not None:
        _apply(binding, found)
    return found


def _binding(bindings: dict[bytes, bytes], sender: bytes) -> bytes | None:
    if bindings:
        for key in (*suffixes(sender.rpartition(b"@")[2].lower() if b"@" in sender else b""), b""):
            if key in bindings:
                return bindings[key]
    return None


def _apply(binding: bytes, outgoing: Outgoing) -> None:
    outgoing.source = "domainbindings"
    colon = binding.find(b":", binding.rfind(b"]") + 1)
    addresses, name = (binding, b"") if colon < 0 else (binding[:colon], binding[colon + 1 :])
    for word in filter(None, addresses.split(b",")):
        six = word.startswith(b"[") and word.endswith(b"]")
        address = _address(word[1:-1] if six else word, "domainbindings", six=six)
        if six:
            outgoing.six = address
        else:
            outgoing.four = address
    outgoing.helo = name or outgoing.helo


def _address(word: bytes, source: str, *, six: bool) -> bytes:
    """Its normal form, or b"" for any.  Raises BadAddress."""
    if not word:
        return b""
    address = ip.canonical(word)
    if address is None or (b":" in address) != six:
        raise BadAddress(source)
    return b"" if address in ANY else address
