"""Host arguments: literal addresses and qualification."""

from __future__ import annotations

from pathlib import Path

import pytest

from ucspi.core import hostname


@pytest.mark.parametrize(
    ("word", "found"),
    [
        (b"127.000.000.001", [b"127.0.0.1"]),
        (b"[127.0.0.1]", [b"127.0.0.1"]),
        (b"127.0.0.257", [b"127.0.0.1"]),
        (b"127.1", []),
        (b"127.0.0.1.127.0.0.2", [b"127.0.0.1", b"127.0.0.2"]),
        (b"127.0.0.1.5", [b"127.0.0.1"]),
        (b"1..2.3", [b"1.0.2.3"]),
    ],
)
def test_an_address_is_read_and_not_looked_up(word: bytes, found: list[bytes]) -> None:
    assert hostname.addresses(word, {b"LOCALDOMAIN": b"x"}) == found


@pytest.mark.parametrize(
    ("rules", "name", "result"),
    [
        ([b"=a:b"], b"a", b"b"),
        ([b"=a:b"], b"xa", b"xa"),
        ([b"*.local:.example"], b"h.LOCAL", b"h.example"),
        ([b"?:.example"], b"h", b"h.example"),
        ([b"?:.example"], b"h.x", b"h.x"),
        ([b"?:.example"], b"[h", b"[h"),
        ([b"-.net:nowhere"], b"x.net", b"nowhere"),
        ([b"# no rule", b"", b"x:y", b"*a"], b"a", b"a"),
        ([b"?:+.x+.y", b"*.:"], b"h", b"h+.x+.y"),
        ([b"?:+.x", b"*.:"], b"h.", b"h"),
        ([b"=a:b", b"=b:c"], b"a", b"c"),
    ],
)
def test_rules_rewrite_a_name(rules: list[bytes], name: bytes, result: bytes) -> None:
    assert hostname.rewrite(name, rules) == result


def test_a_plus_means_one_after_the_other() -> None:
    assert hostname.candidates(b"h+.x+.y") == [b"h.x", b"h.y"]
    assert hostname.candidates(b"h.x") == [b"h.x"]


def test_the_rules_file_wins_over_localdomain(tmp_path: Path) -> None:
    file = tmp_path / "rewrite"
    file.write_bytes(b"=a:b \t\r\n*x:y")
    env = {b"DNSREWRITEFILE": bytes(file), b"LOCALDOMAIN": b"one two"}
    assert hostname.rules(env) == [b"=a:b", b"*x:y"]
    file.unlink()
    assert hostname.rules(env) == [b"?:+.one+.two", b"*.:"]
