"""Control files and DNS answers: any bytes in them are a setting, or an error that is documented and temporary."""

from __future__ import annotations

import dns.exception
import dns.message
import dns.name
import dns.resolver

from qmail.core import mx, outgoing, smtproutes
from qmail.core.control import Control, keymap
from qmail.core.dnsanswers import SystemAnswers
from tests.fuzz.harness import assert_linear, fuzz
from ucspi.core.failure import Failure

ROUTES = b":a.example,b/6:26,[2001:db8::1]/4:27,192.0.2.1\n.example:\none.example:/4\n#x\n"


class Files(Control):
    """Control files that all say the same."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        super().__init__(b"control")
        self.data = data

    def _read(self, name: bytes, first_line: bool = False) -> bytes | None:
        return self.data


class Forger(dns.resolver.Resolver):
    """A resolver for which any bytes are the answer to any question."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(configure=False)
        self.answer = answer

    def resolve(self, qname: dns.name.Name, rdtype: str, **_: object) -> dns.resolver.Answer:  # type: ignore[override]
        query = dns.message.make_query(qname, rdtype)
        # As it comes from a server that names the right question: only the rest is its own.
        wire = query.to_wire()
        reply = dns.message.from_wire(
            wire[:2] + b"\x81\x80" + wire[4:6] + self.answer[:6].ljust(6, b"\0") + wire[12:] + self.answer[6:]
        )
        return dns.resolver.Answer(qname, dns.rdatatype.from_text(rdtype), dns.rdataclass.IN, reply)  # type: ignore[arg-type]


class Forged(SystemAnswers):
    """The DNS as that resolver tells it."""

    def __init__(self, answer: bytes) -> None:
        super().__init__({b"DNSCACHEIP": b"127.0.0.1"})
        self.answer = answer

    def _make(self) -> dns.resolver.Resolver:
        return Forger(self.answer)


@fuzz(
    words=[b":", b",", b"[", b"]", b"/4", b"/6", b".", b"example", b"25", b"\n", b"#", b"192.0.2.1", b"2001:db8::1"],
    seeds=[ROUTES, b":relay:25|user|pa,ss\n", b"::\n"],
)
def test_any_smtproutes_lead_somewhere(data: bytes) -> None:
    routes = keymap(Files(data).entries(b"smtproutes") or ())
    for host in (b"one.example", b"a.b.example", b"", data[:40]):
        route = smtproutes.find(host, routes)
        assert route.family in (b"", b"/4", b"/6")
        for relay in route.relays:
            assert 0 <= relay.port < 65536 and relay.family in (b"", b"/4", b"/6")
            assert b"," not in relay.host or b"[" in relay.host
        assert len(route.relays) <= data.count(b",") + 1


@fuzz(
    words=[b":", b",", b"[::1]", b"127.0.0.1", b".", b"example", b"\n", b"0.0.0.0"],
    seeds=[b"one.example:127.0.0.5,[::1]:mx.one.example\n:127.0.0.7\n"],
    raises=(outgoing.BadAddress,),
)
def test_any_control_files_make_an_outgoing_address_or_say_that_they_do_not(data: bytes) -> None:
    found = outgoing.read(Files(data), b"a@one.example")
    assert b":" not in found.four and (b":" in found.six or not found.six)
    assert b"\n" not in found.helo


@fuzz(
    words=[b"\0\1", b"\xc0\x0c", b"\0\xff", b"\0\x0f\0\1", b"\0\1\0\1"],
    seeds=[b"\0\1\0\0\0\0\xc0\x0c\0\x01\0\1\0\0\1\0\0\4\xc0\0\2\1"],
)
def test_any_dns_answer_is_addresses_or_a_documented_failure(data: bytes) -> None:
    answers = Forged(data)
    for ask in (
        lambda: list(mx.levels(b"one.example", answers)),
        lambda: list(mx.candidates(b"one.example", answers, ())),
        lambda: answers.pointers(b"192.0.2.1"),
        lambda: answers.texts(b"one.example"),
        lambda: answers.canonical(b"one.example"),
    ):
        try:
            ask()
        except Failure:
            continue


@fuzz(
    words=[b"[", b"]", b":", b".", b"255", b"IPv6:", b"::"],
    seeds=[b"[IPv6:2001:db8::1]", b"192.0.2.383", b"[1.2.3.4]", b"[IPv6:::\0]"],
)
def test_any_host_is_a_literal_or_a_name(data: bytes) -> None:
    spelt = mx.literal(data)
    if spelt is not None:
        again = mx.literal(b"[%b]" % spelt)
        assert again == spelt


def test_cost_is_linear_in_the_size_of_a_file() -> None:
    assert_linear(lambda size: b":" + b"relay.example:25," * size, lambda data: smtproutes.parse(data[1:]), 1000)
    assert_linear(lambda size: b"x.example:relay\n" * size, lambda data: keymap(Files(data).entries(b"") or ()), 2000)
