"""The system's resolver, against a name server on an ephemeral port."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import pytest

from qmail.core import mx
from qmail.core.dnsahead import Nameserver
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
        ("big.example", "A"): ["192.0.2.4"],
        ("big.example", "AAAA"): [f"2001:db8::{i}" for i in range(60)],
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
        self.port, self.limits = port, (2.0, 0.3)

    def _make(self) -> dns.resolver.Resolver:
        system = super()._make()
        system.port, (system.timeout, system.lifetime) = self.port, self.limits
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
    assert len(answers.addresses(b"big.example")) == 61


class Together:
    """A name server that says nothing until `count` questions have come, and then answers all of them.

    `lost`: so many questions for AAAA never arrive."""

    def __init__(self, count: int, lost: int = 0) -> None:
        self.count, self.lost = count, lost
        self.asked: list[str] = []
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def __enter__(self) -> Together:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()

    def _serve(self) -> None:
        waiting = []
        while data := (received := self.socket.recvfrom(1000))[0]:
            query = dns.message.from_wire(data)
            kind = dns.rdatatype.to_text(query.question[0].rdtype)
            self.asked.append(kind)
            if kind == "AAAA" and self.asked.count(kind) <= self.lost:
                continue
            waiting.append((query, received[1]))
            if len(waiting) >= self.count:
                for each, peer in waiting:
                    reply = udp(each)
                    assert reply is not None
                    self.socket.sendto(reply.to_wire(), peer)
                waiting.clear()


def test_both_kinds_of_address_are_asked_for_before_either_is_answered() -> None:
    with Together(2) as server:
        assert len(TestAnswers(server.port).addresses(b"a.example")) == 3
    assert server.asked == ["AAAA", "A"]


def test_a_question_that_got_lost_is_asked_again() -> None:
    with Together(1, lost=1) as server:
        answers = TestAnswers(server.port)
        answers.limits = (0.1, 20.0)
        assert len(answers.addresses(b"a.example")) == 3
    assert server.asked == ["AAAA", "A", "AAAA"]


def test_no_question_is_left_open() -> None:
    with Together(1, lost=1) as server:
        before = os.listdir("/proc/self/fd")
        answers = TestAnswers(server.port)
        with pytest.raises(mx.NoAnswer):
            answers.addresses(b"six.example")
        assert answers.addresses(b"six.example") == [b"2001:db8::6"]
        assert len(os.listdir("/proc/self/fd")) == len(before)


def test_an_answer_that_nobody_came_for_is_forgotten_with_the_next_name() -> None:
    with Together(1) as server:
        asked = Nameserver("127.0.0.1", server.port)
        before = os.listdir("/proc/self/fd")
        for name, kind in (("a.example", "A"), ("six.example", "A"), ("six.example", "AAAA")):
            reply = asked.query(dns.message.make_query(name, kind), 5.0, None, 0, False)
        assert reply.answer[0][0].to_text() == "2001:db8::6"
        assert len(os.listdir("/proc/self/fd")) == len(before)
    assert server.asked == ["AAAA", "A", "AAAA", "A"]
