"""The DNS client, against a server that answers well, badly, late or not at all."""

from __future__ import annotations

import time
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.nameserver import Answer, NameServer, zone
from ucspi.core import resolver
from ucspi.core.failure import TemporaryFailure

SILENT: Answer = lambda query: None  # noqa: E731


LONG = 30.0  # seconds that no test waits for: whoever does has not done what it should


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds(monkeypatch, LONG, LONG, LONG)
    monkeypatch.setattr(resolver, "TCP_TIME", 0.2)


def rounds(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    monkeypatch.setattr(resolver, "ROUNDS", seconds)


def asking(server: NameServer, servers: tuple[str, ...] = ("127.0.0.1",)) -> resolver.Resolver:
    return resolver.Resolver({}, servers=servers, port=server.port)


RECORDS = {
    ("a.example", "A"): ["10.0.0.1", "10.0.0.2"],
    ("a.example", "AAAA"): ["2001:db8::1"],
    ("a.example", "TXT"): ['"spammer" " vagy"', '"\\201x"'],
    ("4.3.2.1.in-addr.arpa", "PTR"): ["Some:Host_-9%.Example."],
    ("5.3.2.1.in-addr.arpa", "PTR"): ["."],
    ("alias.example", "CNAME"): ["a.example."],
}


def test_records_are_read_as_the_original_reads_them() -> None:
    with NameServer(zone(RECORDS)) as server:
        ask = asking(server)
        assert sorted(ask.ip4(b"A.exAmple.")) == [b"10.0.0.1", b"10.0.0.2"]
        assert ask.ip6(b"a.example") == [b"2001:db8::1"]
        assert ask.txt(b"a.example") in (b"spammer vagy?x", b"?xspammer vagy")  # the server shuffles
        assert ask.name(b"1.2.3.4") == b"some\\072host_-9\\045.example"
        assert ask.name(b"1.2.3.5") == b"."
        assert server.asked[0] == ("A.exAmple", "A")


def test_no_name_and_no_record_are_both_empty() -> None:
    with NameServer(zone(RECORDS)) as server:
        ask = asking(server)
        assert ask.ip4(b"none.example") == [] and ask.ip4(b"alias.example") == []
        assert ask.name(b"9.9.9.9") is None and ask.txt(b"none") == b""


def test_records_count_whatever_their_owner_is() -> None:
    def aliased(query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.answer.append(dns.rrset.from_text("alias.example.", 1, "IN", "CNAME", "b.example."))
        reply.answer.append(dns.rrset.from_text("b.example.", 1, "IN", "A", "10.0.0.9"))
        return reply

    with NameServer(aliased) as server:
        assert asking(server).ip4(b"alias.example") == [b"10.0.0.9"]


def test_a_silent_server_costs_all_rounds_and_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds(monkeypatch, 0.03, 0.11, 0.45)
    with NameServer(SILENT) as server:
        start = time.monotonic()
        with pytest.raises(TemporaryFailure, match="timed out"):
            asking(server).ip4(b"a.example")
        assert 0.55 < time.monotonic() - start < LONG
        assert len(server.asked) == 3


def test_a_failing_server_is_asked_three_times_and_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds(monkeypatch, LONG, 0.11, LONG)
    with NameServer(zone(RECORDS, dns.rcode.SERVFAIL)) as server:
        start = time.monotonic()
        with pytest.raises(TemporaryFailure, match="temporary failure"):
            asking(server).ip4(b"a.example")
        assert 0.1 < time.monotonic() - start < LONG
        assert len(server.asked) == 3


def test_a_refused_port_is_a_temporary_failure_after_the_patient_round(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds(monkeypatch, LONG, 0.11, LONG)
    with NameServer(SILENT) as server:
        port = server.port
    start = time.monotonic()
    with pytest.raises(TemporaryFailure, match="connection refused"):
        resolver.Resolver({}, servers=["127.0.0.1"], port=port).ip4(b"a.example")
    assert 0.1 < time.monotonic() - start < LONG


def test_the_next_server_is_asked_at_once_where_one_refuses() -> None:
    start = time.monotonic()
    with NameServer(zone(RECORDS)) as server:
        assert len(asking(server, ("127.0.0.99", "127.0.0.1")).ip4(b"a.example")) == 2
    assert time.monotonic() - start < LONG


def _wrong_id(query: dns.message.Message) -> dns.message.Message:
    reply = zone(RECORDS)(query)
    assert isinstance(reply, dns.message.Message)
    reply.id ^= 1
    return reply


def _other_question(query: dns.message.Message) -> dns.message.Message:
    return dns.message.make_response(dns.message.make_query("b.example", "A", id=query.id))


LIES: list[Answer] = [
    _wrong_id,
    _other_question,
    lambda query: query.to_wire(),  # an echo
    lambda query: b"",
    lambda query: b"\0" * 11,
    lambda query: dns.message.make_response(query).to_wire() + b"\0" * 600,
]


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_answer_to_the_question_is_ignored(lie: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds(monkeypatch, 0.03, 0.11, 0.2)
    with NameServer(lie) as server, pytest.raises(TemporaryFailure, match="timed out"):
        asking(server).ip4(b"a.example")


def test_garbage_behind_a_matching_question_is_a_temporary_failure() -> None:
    def loop(query: dns.message.Message) -> bytes:
        wire = bytearray(dns.message.make_response(query).to_wire())
        wire[6:8] = b"\0\1"
        return bytes(wire) + b"\xc0" + bytes((len(wire),)) + b"\0" * 10  # a name that points at itself

    with NameServer(loop) as server, pytest.raises(TemporaryFailure, match="protocol error"):
        asking(server).ip4(b"a.example")


def _truncated(query: dns.message.Message) -> dns.message.Message:
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.TC
    return reply


def test_a_truncated_answer_is_asked_for_again_over_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "TCP_TIME", 10)
    many = {("a.example", "A"): [f"10.0.{i >> 8}.{i & 255}" for i in range(4000)]}
    with NameServer(_truncated, zone(many)) as server:
        assert len(asking(server).ip4(b"a.example")) == 4000
        assert len(server.asked) == 2


@pytest.mark.parametrize("tcp", [SILENT, _wrong_id, zone({}, dns.rcode.SERVFAIL), lambda query: b"x"])
def test_no_good_answer_over_tcp_is_a_temporary_failure(tcp: Answer) -> None:
    with NameServer(_truncated, tcp) as server, pytest.raises(TemporaryFailure):
        asking(server).ip4(b"a.example")


def test_questions_are_on_their_way_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds(monkeypatch, 0.1, LONG, LONG)

    def slow(query: dns.message.Message) -> dns.message.Message | bytes | None:
        return None if len(server.asked) <= 5 else zone(RECORDS)(query)  # answers the second round only

    with NameServer(slow) as server:
        ask = asking(server)
        start = time.monotonic()
        sent = [ask.start(b"a.example", resolver.A) for _ in range(5)]
        assert [len(ask.wait(one)) for one in reversed(sent)] == [2] * 5
        assert time.monotonic() - start < LONG  # alone, the first would wait for its third round


@pytest.mark.parametrize(
    ("cache", "conf", "servers"),
    [
        (b"10.0.0.1", "", ["10.0.0.1"]),
        (b"10.0.0.1.10.0.0.2", "", ["10.0.0.1", "10.0.0.2"]),
        (b"10.0.0.1.10.0.0", "", ["10.0.0.1"]),
        (b"10.0.0.1.x.0.0.2", "", ["10.0.0.1"]),
        (
            b"x",
            "nameserver 10.1.1.1\nnameserver\t10.1.1.2 #x\n nameserver 10.1.1.3\nnameserver x",
            ["10.1.1.1", "10.1.1.2"],
        ),
        (b"", "options x\nnameserver ::1\n", ["::1"]),
        (b"", "", ["127.0.0.1"]),
        (b"", "nameserver 10.0.0.1\n" * 20, ["10.0.0.1"] * 16),
    ],
)
def test_servers_come_from_the_environment_then_from_resolv_conf(
    cache: bytes, conf: str, servers: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(conf)
    assert resolver.servers({b"DNSCACHEIP": cache}, str(file)) == servers


@given(st.binary(max_size=600))
def test_no_reply_does_more_than_fail(noise: bytes) -> None:
    query = resolver._query((b"a", b"example"), resolver.A)
    reply = query[:2] + b"\x80" + query[3:] + noise
    assert resolver.answers(reply, query)
    try:
        list(resolver.records(reply[:6] + b"\0\3" + reply[8:], query))
    except TemporaryFailure:
        pass
