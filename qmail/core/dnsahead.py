"""Name servers that are asked for IPv6 addresses together with those of IPv4.  RFC 8305 3.

dnspython's resolver asks one question after the other.  So its question for A records takes along the one for AAAA
that is going to follow; when that comes, its answer is on the way, or there."""

from __future__ import annotations

import socket
import time

import dns.inet
import dns.message
import dns.nameserver
import dns.query
import dns.rdatatype
import dns.resolver

TYPE_CHECKING = False
if TYPE_CHECKING:
    import dns.name


class Nameserver(dns.nameserver.Do53Nameserver):
    """One server.  Has a question on its way at times."""

    def __init__(self, address: str, port: int) -> None:
        super().__init__(address, port)
        self._family = dns.inet.af_for_address(address)
        self._destination = dns.inet.low_level_address_tuple((address, port), self._family)
        self._ahead: tuple[dns.message.QueryMessage, socket.socket] | None = None

    def query(
        self,
        request: dns.message.QueryMessage,
        timeout: float,
        source: str | None,
        source_port: int,
        max_size: bool,
        one_rr_per_rrset: bool = False,
        ignore_trailing: bool = False,
    ) -> dns.message.Message:
        """Ask, as the resolver wants it.  `max_size`: over TCP."""
        name, rdtype = request.question[0].name, request.question[0].rdtype
        asked = self._ahead and self._ahead[0].question[0].name == name
        if rdtype == dns.rdatatype.AAAA and asked and not max_size:
            return self._receive(timeout)
        if rdtype == dns.rdatatype.A and not asked:
            self._forget()
            self._send(name, request)
        return super().query(request, timeout, source, source_port, max_size, one_rr_per_rrset, ignore_trailing)

    def _send(self, name: dns.name.Name, like: dns.message.QueryMessage) -> None:
        query = dns.message.make_query(name, dns.rdatatype.AAAA)
        query.flags = like.flags
        if like.edns >= 0:
            query.use_edns(like.edns, like.ednsflags, like.payload, options=list(like.options))
        try:
            made = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError:
            return  # it is asked when its turn comes, and fails then
        try:
            made.sendto(query.to_wire(), self._destination)
        except OSError:
            made.close()
        else:
            self._ahead = query, made

    def _forget(self) -> None:
        """Nobody came for the last answer: the question was settled elsewhere."""
        if self._ahead:
            self._ahead[1].close()
            self._ahead = None

    def _receive(self, timeout: float) -> dns.message.Message:
        assert self._ahead
        (query, made), self._ahead = self._ahead, None
        with made:
            message: dns.message.Message = dns.query.receive_udp(
                made,
                self._destination,
                time.time() + timeout,
                ignore_unexpected=True,
                raise_on_truncation=True,
                ignore_errors=True,
                query=query,
            )[0]
        return message


def prepare(resolver: dns.resolver.Resolver) -> None:
    """Let a resolver ask so."""
    ports = resolver.nameserver_ports
    resolver.nameservers = [
        Nameserver(each, ports.get(each, resolver.port))
        if isinstance(each, str) and dns.inet.is_address(each)
        else each
        for each in resolver.nameservers
    ]
