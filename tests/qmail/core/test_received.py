"""The trace line of spec qmail-smtp 1.7, with the probes of 12.1."""

from __future__ import annotations

import pytest

from qmail.core.received import received, safe

NOW = 1795420376  # 23 Nov 2026 07:52:56 UTC
TCP = {b"TCPREMOTEIP": b"192.0.2.7", b"TCPREMOTEHOST": b"client.example.net", b"TCPLOCALHOST": b"mx.example.org"}


@pytest.mark.parametrize(
    ("env", "helo", "first"),
    [
        (TCP, b"other.name", b"client.example.net (HELO other.name) (192.0.2.7)"),  # probe 6
        (TCP, b"CLIENT.example.NET", b"client.example.net (192.0.2.7)"),  # 7
        (TCP, None, b"client.example.net (192.0.2.7)"),
        (TCP, b"", b"client.example.net (HELO ) (192.0.2.7)"),  # 10
        (
            TCP | {b"TCPREMOTEINFO": b"joe user_1@x"},
            b"[1.2.3.4] (foo)_bar;\x80",
            b"client.example.net (HELO [1.2.3.4]??foo??bar??) (joe?user?1@x@192.0.2.7)",
        ),  # 9
        (TCP | {b"TCPREMOTEINFO": b""}, None, b"client.example.net (@192.0.2.7)"),
        (TCP | {b"TCPREMOTEIP": b"2001:db8::1"}, None, b"client.example.net (2001:db8::1)"),
    ],
)
def test_trace_line_shows_who_the_client_is(env: dict[bytes, bytes], helo: bytes | None, first: bytes) -> None:
    line = b"Received: from " + first + b"\n  by mx.example.org with SMTP; 23 Nov 2026 07:52:56 -0000\n"
    assert received(env, b"SMTP", helo, NOW) == line


def test_without_a_tcp_server_everything_is_unknown() -> None:  # 8
    line = b"Received: from unknown (unknown)\n  by unknown with QMTP; 23 Nov 2026 07:52:56 -0000\n"
    assert received({}, b"QMTP", None, NOW) == line


def test_the_local_address_stands_in_for_a_missing_local_name() -> None:
    assert b"\n  by 192.0.2.1 with" in received({b"TCPLOCALIP": b"192.0.2.1"}, b"SMTP", None, NOW)


def test_safe_leaves_only_what_means_nothing_in_a_header() -> None:
    kept = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.@%+/=:-[]"
    every = bytes(range(256))
    assert safe(every) == bytes(byte if byte in kept else ord("?") for byte in every)
