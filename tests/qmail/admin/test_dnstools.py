"""dnsip, dnsmxip, dnsptr, dnsfq, dnscname and dnstxt, against a name server on port 53 of a loopback address."""

from __future__ import annotations

from collections.abc import Iterator

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from tests.support import launchers
from tests.support.launchers import Result
from tests.support.nameserver import NameServer
from tests.support.network import own_address

ADDRESS = own_address()
RECORDS = {
    ("a.example", "A"): ["192.0.2.1", "192.0.2.2"],
    ("a.example", "AAAA"): ["2001:db8::1"],
    ("one.example", "A"): ["192.0.2.1"],
    ("six.example", "AAAA"): ["2001:db8::6"],
    ("alias.example", "CNAME"): ["Other.example."],
    ("other.example", "CNAME"): ["a.example."],
    ("dangling.example", "CNAME"): ["absent.example."],
    ("bare.example", "CNAME"): ["text.example."],
    ("circle.example", "CNAME"): ["circle2.example."],
    ("circle2.example", "CNAME"): ["circle.example."],
    ("two.example", "MX"): ["20 six.example.", "10 a.example."],
    ("aliased.example", "CNAME"): ["two.example."],
    ("via.example", "MX"): ["5 alias.example."],
    ("null.example", "MX"): ["0 ."],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["Host.Example."],
    ("6." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa", "PTR"): ["six.example."],
    ("text.example", "TXT"): ['"one" "two\\027[2J"', '"three"'],
}


def answer(query: dns.message.Message) -> dns.message.Message:
    """As a resolver answers: with the aliases on the way."""
    reply = dns.message.make_response(query)
    name, kind = query.question[0].name, dns.rdatatype.to_text(query.question[0].rdtype)
    for _ in range(8):
        key = name.to_text(omit_final_dot=True).lower()
        found = kind if (key, kind) in RECORDS else "CNAME"
        if (key, found) not in RECORDS:
            break
        reply.answer.append(dns.rrset.from_text(name, 300, "IN", found, *RECORDS[key, found]))
        if found == kind:
            return reply
        name = dns.name.from_text(RECORDS[key, "CNAME"][0])
    if key == "failing.example":
        reply.set_rcode(dns.rcode.SERVFAIL)
    elif not any(owner == key for owner, _ in RECORDS):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    try:
        made = NameServer(answer, ip=ADDRESS, port=53)
    except OSError as e:
        pytest.skip(f"cannot be a name server here: {e}")
    with made:
        yield made


def run(program: str, *words: str) -> Result:
    return launchers.run(launchers.ours(program), *words, env={"DNSCACHEIP": ADDRESS})


HARD, SOFT = Result(100, b"", b"hard error\n"), Result(111, b"", b"soft error\n")


def found(*lines: str) -> Result:
    return Result(0, "".join(line + "\n" for line in lines).encode(), b"")


@pytest.mark.parametrize(
    ("program", "word", "expected"),
    [
        ("dnsip", "a.example", found("192.0.2.1", "192.0.2.2")),
        ("dnsip", "alias.example.", found("192.0.2.1", "192.0.2.2")),
        ("dnsip", "six.example", found("2001:db8::6")),
        ("dnsip", "192.0.2.383", found("192.0.2.127")),
        ("dnsip", "[192.0.2.7]", found("192.0.2.7")),
        ("dnsip", "absent.example", HARD),
        ("dnsip", "text.example", HARD),
        ("dnsip", "absent.example.", HARD),
        ("dnsip", "text.example.", HARD),
        ("dnsip", "dangling.example", HARD),
        ("dnsip", "bare.example", found()),
        ("dnsip", ".", HARD),
        ("dnsip", "failing.example", SOFT),
        ("dnsmxip", "two.example", found("2001:db8::1 10", "192.0.2.1 10", "192.0.2.2 10", "2001:db8::6 20")),
        ("dnsmxip", "aliased.example", found("2001:db8::1 10", "192.0.2.1 10", "192.0.2.2 10", "2001:db8::6 20")),
        ("dnsmxip", "via.example", found("2001:db8::1 5", "192.0.2.1 5", "192.0.2.2 5")),
        ("dnsmxip", "192.0.2.7", found("192.0.2.7 0")),
        ("dnsmxip", "six.example", found("2001:db8::6 0")),
        ("dnsmxip", "null.example", found()),
        ("dnsmxip", "absent.example", HARD),
        ("dnsmxip", "failing.example", SOFT),
        ("dnsptr", "192.0.2.1", found("Host.Example")),
        ("dnsptr", "2001:db8:0::6", found("six.example")),
        ("dnsptr", "192.0.2.2", HARD),
        ("dnsptr", "nonsense", HARD),
        ("dnsfq", "one.example", found("Host.Example")),
        ("dnsfq", "192.0.2.1", found("Host.Example")),
        ("dnsfq", "absent.example", HARD),
        ("dnsfq", "absent.example.", HARD),
        ("dnsfq", "dangling.example", HARD),
        ("dnsfq", "bare.example", Result(100, b"", b"no IP addresses\n")),
        ("dnsfq", "192.0.2.9", HARD),
        ("dnsfq", "failing.example", SOFT),
        ("dnscname", "alias.example", found("a.example")),
        ("dnscname", "a.example.", found("a.example")),
        ("dnscname", "absent.example", found("absent.example")),
        ("dnscname", "circle.example", HARD),
        ("dnscname", "failing.example", SOFT),
        ("dnstxt", "text.example", found("one", "two?[2J", "three")),
        ("dnstxt", "a.example", HARD),
        ("dnstxt", "failing.example", SOFT),
    ],
)
def test_a_program_prints_what_the_dns_says(server: NameServer, program: str, word: str, expected: Result) -> None:
    shown = run(program, word)
    if program in ("dnsmxip", "dnstxt") or (program == "dnsip" and expected.out.count(b"\n") == 2):
        shown.out = b"".join(sorted(shown.out.splitlines(keepends=True)))  # equal ones come in any order
        expected.out = b"".join(sorted(expected.out.splitlines(keepends=True)))
    assert shown == expected


def test_dnsmxip_keeps_the_order_of_delivery(server: NameServer) -> None:
    preferences = [int(line.split()[1]) for line in run("dnsmxip", "two.example").out.splitlines()]
    assert preferences == [10, 10, 10, 20]


@pytest.mark.parametrize("program", ["dnsip", "dnsmxip", "dnsptr", "dnsfq", "dnscname", "dnstxt"])
def test_without_a_word_there_is_silence(program: str) -> None:
    assert run(program) == Result(100, b"", b"")
