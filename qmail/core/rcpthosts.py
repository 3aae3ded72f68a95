"""Which recipients' domains we take mail for: rcpthosts and morercpthosts.cdb.  qmail-control(5).

    example.org      that domain            .example.org     its subdomains, not itself

No file rcpthosts: every recipient is allowed, and the cdb is not looked at.  An empty one: none, but for those
without "@".  The database holds the same lines as keys (qmail-newmrh(8))."""

from __future__ import annotations

import os

from qmail.core import nameset
from qmail.core.control import suffixes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cdbx

    from qmail.core.control import Control

HOSTS, MORE = b"rcpthosts", b"morercpthosts.cdb"


class RcptHosts:
    """One reading of the lists.  Holds the database open, from load to close, as it was when the session began."""

    __slots__ = ("_cdb", "_fd", "_hosts")

    def __init__(self, hosts: frozenset[bytes] | None, fd: int | None = None) -> None:
        self._hosts = hosts
        self._fd = fd
        self._cdb: cdbx.CDB | None = None

    @classmethod
    def load(cls, control: Control) -> RcptHosts:
        """Read rcpthosts, open the database if there is one.  OSError if one of them exists and cannot be read."""
        hosts = nameset.load(control, HOSTS)
        if hosts is None:
            return cls(None)
        try:
            return cls(hosts, os.open(control.directory + b"/" + MORE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except FileNotFoundError:
            return cls(hosts)

    def allows(self, recipient: bytes) -> bool:
        """True if mail for `recipient` is welcome.  OSError if the database is damaged."""
        if self._hosts is None:
            return True
        _, at, domain = recipient.rpartition(b"@")
        if not at:
            return True
        domain = domain.lower()
        if not domain:
            return False
        return any(key in self._hosts for key in suffixes(domain)) or self._listed(domain)

    def _listed(self, domain: bytes) -> bool:
        if self._fd is None:
            return False
        if self._cdb is None:
            import cdbx  # only for hosts that have a database and a recipient that needs it

            # Read, not mapped: a file that is cut short under a mapping ends the process.
            self._cdb = cdbx.CDB(self._fd, mmap=False)
        return any(key in self._cdb for key in suffixes(domain))

    def close(self) -> None:
        """Close the database."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = self._cdb = None
