"""What the system's DNS resolver says, for mx.py: dnspython asks the servers of /etc/resolv.conf.

The environment variable DNSCACHEIP, as for every program here, names other servers.  Only NXDOMAIN and an empty answer
are answers; SERVFAIL, REFUSED, a broken packet, silence and a missing resolver are all NoAnswer, that is temporary.
Names go out as the bytes they are, without search list; truncated answers are fetched again by TCP."""

from __future__ import annotations

import _socket

from qmail.core import mx
from ucspi.core import dnsname, resolver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    import dns.name
    import dns.rdata
    import dns.resolver

RECORDS = ("ANY.CNAME", "ANY.MX", "ANY.NS", "ANY.SOA", "IN.A", "IN.AAAA")  # what dnspython would load when it sees one
MODULES = ("dns.resolver", "qmail.core.dnsahead", *(f"dns.rdtypes.{record}" for record in RECORDS))
TRY = 2.0  # seconds before a server is asked again: a lost packet costs no more
LONGEST_CHAIN = 10  # of aliases
LIFETIME = 10.0  # seconds for one question in all, as the C library takes with one server


class SystemAnswers(mx.Answers):
    """The DNS.  Loads dnspython when first asked, as mail to a relay or an address literal asks nothing."""

    __slots__ = ("_resolver", "_search", "_servers")

    def __init__(self, env: Mapping[bytes, bytes], *, search: bool = False) -> None:
        """`search`: the search list of /etc/resolv.conf completes names."""
        self._search = search
        self._servers = resolver.servers(env) if b"DNSCACHEIP" in env else []
        self._resolver: dns.resolver.Resolver | None = None

    def exchangers(self, name: bytes) -> list[tuple[int, bytes]]:
        """MX records of `name`."""
        found = []
        for record in self._ask(name, "MX"):
            labels = record.exchange.labels  # type: ignore[attr-defined]
            found.append((int(record.preference), b".".join(labels[:-1])))  # type: ignore[attr-defined]
        return found

    def addresses(self, name: bytes) -> list[bytes]:
        """A, then AAAA records; dnsahead asks for both at once.

        Where one kind is answered and the other is not, what was answered does."""
        found: list[bytes] = []
        unanswered: mx.NoAnswer | None = None
        for rdtype in ("A", "AAAA"):
            try:
                found += [_text(record.address) for record in self._ask(name, rdtype)]  # type: ignore[attr-defined]
            except mx.NoAnswer as e:
                unanswered = e
        if unanswered and not found:
            raise unanswered
        return found

    def pointers(self, address: bytes) -> list[bytes]:
        """Names of an address, spelt as in their PTR records; unusual bytes are escaped as in a zone file."""
        records = self._ask(dnsname.reverse_name(address), "PTR")
        return [record.target.to_text(True).encode() for record in records]  # type: ignore[attr-defined]

    def texts(self, name: bytes) -> list[bytes]:
        """The strings of the TXT records of `name`."""
        return [text for record in self._ask(name, "TXT") for text in record.strings]  # type: ignore[attr-defined]

    def canonical(self, name: bytes) -> bytes | None:
        """Where the aliases of `name` lead, itself if it has none; None if they lead in a circle."""
        for _ in range(LONGEST_CHAIN):
            if not name or name.endswith(b"]"):
                return name
            name = name.removesuffix(b".")
            targets = self._ask(name, "CNAME")
            if not targets:
                return name
            name = targets[0].target.to_text(True).encode()  # type: ignore[attr-defined]
        return None

    def leads_nowhere(self, name: bytes) -> bool:
        """Is `name` an alias, by an answer without error, of a host that has no IPv4 address?"""
        answer = self._answer(name, "A")
        return answer is not None and answer.rrset is None and bool(answer.response.answer)

    def _ask(self, name: bytes, rdtype: str) -> list[dns.rdata.Rdata]:
        answer = self._answer(name, rdtype)
        return [] if answer is None or answer.rrset is None else list(answer.rrset)

    def _answer(self, name: bytes, rdtype: str) -> dns.resolver.Answer | None:
        """None: no such name.  Raises NoAnswer."""
        import dns.exception  # 110 ms when not preloaded
        import dns.name
        import dns.resolver

        from qmail.core import dnsahead

        question = _name(name)
        if question is None:
            return None
        try:
            if self._resolver is None:
                self._resolver = self._make()
                dnsahead.prepare(self._resolver)
            if self._search and not name.endswith(b"."):
                question = question.relativize(dns.name.root)
            return self._resolver.resolve(question, rdtype, search=self._search, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return None
        except (dns.exception.DNSException, OSError):
            raise mx.NoAnswer from None

    def _make(self) -> dns.resolver.Resolver:
        import dns.resolver

        system = dns.resolver.Resolver(configure=not self._servers)
        if self._servers:
            system.nameservers = list(self._servers)
        system.timeout, system.lifetime = TRY, LIFETIME
        return system


def _name(name: bytes) -> dns.name.Name | None:
    """The absolute DNS name, or None for what cannot be one: nobody has such a name."""
    import dns.exception
    import dns.name

    if not name.rstrip(b"."):
        return None
    try:
        return dns.name.Name((*name.removesuffix(b".").split(b"."), b""))
    except dns.exception.DNSException:
        return None


def _text(address: str) -> bytes:
    """An address as inet_ntop writes it, which is how ipme writes ours."""
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    return _socket.inet_ntop(family, _socket.inet_pton(family, address)).encode()
