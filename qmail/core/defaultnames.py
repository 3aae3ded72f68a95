"""What stands behind the @ where nothing, or half a name, was written: defaulthost, defaultdomain, plusdomain.

Control files of these names, control/me for one that is absent, the word `me` without that; QMAILDEFAULTHOST and so on
override them for programs whose caller may say so.  dot-forward(1), newaliases(8), newinclude(1)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmail.core.control import Control


class DefaultNames:
    """The three names."""

    __slots__ = ("domain", "host", "plus")

    def __init__(self, control: Control, env: Mapping[bytes, bytes] = {}) -> None:
        """Raises OSError for a control file that cannot be read."""
        me = control.line(b"me")
        fallback = b"me" if me is None else me
        self.domain, self.host, self.plus = (
            env.get(b"QMAIL" + name.upper(), _or(control.line(name), fallback))
            for name in (b"defaultdomain", b"defaulthost", b"plusdomain")
        )

    def complete(self, address: bytes, at: bool) -> bytes:
        """The address with a full host name; `at` says whether it has a host at all."""
        if not at:
            address = b"%b@%b" % (address, self.host)
        if address.endswith(b"+"):
            return b"%b.%b" % (address[:-1], self.plus)
        if b"." in address.rpartition(b"@")[2]:
            return address
        return b"%b.%b" % (address, self.domain)


def _or(line: bytes | None, fallback: bytes) -> bytes:
    return fallback if line is None else line
