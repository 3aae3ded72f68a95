"""Where a recipient goes: the routing that qmail-send does once, when a message is preprocessed.  qmail-send(8).

    no @                    @envnoathost is added
    user%host@percenthack   becomes user@host, again and again
    host in locals          local
    in virtualdomains       local, with `prefix-` before the whole address
    else                    remote

Domains compare without regard to ASCII case; an address keeps the case it came with."""

from __future__ import annotations

from qmail.core.control import suffixes
from qmail.core.logline import LOCAL, REMOTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

VERP = b"-@[]"  # at the end of a sender: every recipient gets a sender of its own


class Routes:
    """The tables that decide between local and remote."""

    __slots__ = ("envnoathost", "locals", "percenthack", "virtualdomains")

    def __init__(
        self,
        envnoathost: bytes,
        locals: Iterable[bytes],
        percenthack: Iterable[bytes] = (),
        virtualdomains: Mapping[bytes, bytes] | None = None,
    ) -> None:
        self.envnoathost = envnoathost
        self.locals = frozenset(host.lower() for host in locals)
        self.percenthack = frozenset(host.lower() for host in percenthack)
        # Keys are lower-case here (control.keymap sees to that); an empty value is an exception, not an absent key.
        self.virtualdomains = dict(virtualdomains or {})

    def rewrite(self, recipient: bytes) -> tuple[int, bytes]:
        """(LOCAL or REMOTE, the address to deliver to)."""
        address = recipient if b"@" in recipient else b"%b@%b" % (recipient, self.envnoathost)
        if self.percenthack:
            address = self._unpercent(address)
        host = address.rpartition(b"@")[2].lower()
        if host in self.locals:
            return LOCAL, address
        if self.virtualdomains:
            prefix = self._prefix(_keys(address.lower(), host))
            if prefix:
                return LOCAL, b"%b-%b" % (prefix, address)
        return REMOTE, address

    def unprefixed(self, recipient: bytes) -> bytes:
        """The address as the sender knew it: what virtualdomains put before it is taken off again.

        A guess, as the tables may have changed since, and `user@host` entries are not looked at: the same guess as
        the original's, for the text of a bounce only."""
        if b"@" not in recipient:
            return recipient
        prefix = self._prefix(_domains(recipient.rpartition(b"@")[2].lower()))
        return recipient.removeprefix(prefix + b"-") if prefix else recipient

    def _unpercent(self, address: bytes) -> bytes:
        at = address.rindex(b"@")
        while address[at + 1 :].lower() in self.percenthack:
            percent = address.rfind(b"%", 0, at)
            if percent < 0:
                break
            address = b"%b@%b" % (address[:percent], address[percent + 1 : at])
            at = percent
        return address

    def _prefix(self, keys: Iterator[bytes]) -> bytes:
        """The value of the first key that is there at all: b"" for an exception as for no key."""
        for key in keys:
            prefix = self.virtualdomains.get(key)
            if prefix is not None:
                return prefix
        return b""


def _keys(address: bytes, host: bytes) -> Iterator[bytes]:
    yield address
    yield from _domains(host)


def _domains(host: bytes) -> Iterator[bytes]:
    yield from suffixes(host)
    yield b""  # the key that catches all


def verp(sender: bytes, recipient: bytes) -> bytes:
    """The sender for this recipient: `list-@host-@[]` to user@there is `list-user=there@host`, any other stays."""
    if not sender.endswith(VERP):
        return sender
    local, at, host = sender[: -len(VERP)].rpartition(b"@")
    user, at_there, there = recipient.rpartition(b"@")
    if not at or not at_there:
        return sender
    return b"%b%b=%b@%b" % (local, user, there, host)
