"""The system's resolver, against a name server on an ephemeral port."""

from __future__ import annotations

from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import pytest

from qmail.core import mx
from qmail.core.dnsanswers import SystemAnswers
from tests.support.nameserver import NameServer, zone

RECORDS = zone(
    {
        ("one.example", "MX"): ["20 b.example.", "10 A.example."],
        ("null.example", "MX"): ["0 ."],
        ("a.example", "A"): ["192.0.2.2", "192.0.2.1"],
        ("a.example", "AAAA"): ["2001:db8:0:0:0:0:0:1"],
        ("six.example", "AAAA"): ["2001:db8::6"],
        ("half.example", "A"): ["192.0.2.3"],
        ("text.example", "TXT"): ["x"],
        ("big.example", "MX"): [f"10 mx{i}.a-rather-long-name.big.example." for i in range(60)],
    }
)
RCODES = {"refused.example": dns.rcode.REFUSED, "servfail.example": dns.rcode.SERVFAIL, "bad.example": dns.rcode.NOTIMP}


def udp(query: dns.message.Message) -> dns.message.Message | None:
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    reply = RECORDS(query)
    assert isinstance(reply, dns.message.Message)
    if name == "silent.example":
        return None
    if name in RCODES:
        reply.set_rcode(RCODES[name])
    if name == "half.example" and dns.rdatatype.to_text(question.rdtype) == "AAAA":
        reply.set_rcode(dns.rcode.SERVFAIL)
    if name == "big.example":
        reply.answer.clear()
        reply.flags |= dns.flags.TC
    return reply


class TestAnswers(SystemAnswers):
    __test__ = False

    def __init__(self, port: int) -> None:
        super().__init__({b"DNSCACHEIP": b"127.0.0.1"})
        self.port = port

    def _make(self) -> dns.resolver.Resolver:
        system = super()._make()
        system.port, system.lifetime = self.port, 0.3
        return system


@pytest.fixture(scope="module")
def answers() -> Iterator[SystemAnswers]:
    with NameServer(udp, tcp=RECORDS) as server:
        yield TestAnswers(server.port)


def test_mx_records_keep_preference_and_name(answers: SystemAnswers) -> None:
    assert sorted(answers.exchangers(b"one.example.")) == [(10, b"A.example"), (20, b"b.example")]
    assert answers.exchangers(b"null.example") == [(0, b"")]


def test_addresses_are_ipv4_then_ipv6_as_inet_ntop_writes_them(answers: SystemAnswers) -> None:
    *four, six = answers.addresses(b"a.example")
    assert (sorted(four), six) == ([b"192.0.2.1", b"192.0.2.2"], b"2001:db8::1")
    assert answers.addresses(b"six.example") == [b"2001:db8::6"]
    assert answers.addresses(b"half.example") == [b"192.0.2.3"]


@pytest.mark.parametrize("name", [b"unknown.example", b"text.example", b"", b".", b"a..b", b"x" * 64, b"a." * 150])
def test_no_such_name_and_no_such_record_are_an_empty_answer(answers: SystemAnswers, name: bytes) -> None:
    assert answers.exchangers(name) == []
    assert answers.addresses(name) == []


@pytest.mark.parametrize("name", [b"refused.example", b"servfail.example", b"bad.example", b"silent.example"])
def test_whatever_is_no_answer_is_temporary(answers: SystemAnswers, name: bytes) -> None:
    with pytest.raises(mx.NoAnswer):
        answers.exchangers(name)


def test_a_truncated_answer_is_asked_for_again_by_tcp(answers: SystemAnswers) -> None:
    assert len(answers.exchangers(b"big.example")) == 60
