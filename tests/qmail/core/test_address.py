"""Address splitting and quoting; examples from the observed behaviour of qmail and RFC 5321 4.1.2."""

from __future__ import annotations

import pytest

from qmail.core import address


@pytest.mark.parametrize(
    ("plain", "quoted"),
    [
        (b"", b""),
        (b"a@b.example", b"a@b.example"),
        (b"a b@s.example", b'"a b"@s.example'),
        (b"a@b@c", b'"a@b"@c'),
        (b"@h", b'""@h'),
        (b".a@h", b'".a"@h'),
        (b"a.@h", b'"a."@h'),
        (b"a..b@h", b'"a..b"@h'),
        (b"a.b@h", b"a.b@h"),
        (b'q"\\\r\n@h', b'"q\\"\\\\\\\r\\\n"@h'),
        (b"\xe9@h", b'"\xe9"@h'),
        (b"postmaster daemon", b'"postmaster daemon"'),
        (b"plain", b"plain"),
        (b"!#$%&'*+-/=?^_`{|}~@ho st", b"!#$%&'*+-/=?^_`{|}~@ho st"),
    ],
)
def test_only_local_parts_that_need_it_are_quoted(plain: bytes, quoted: bytes) -> None:
    assert address.quote(plain) == quoted


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        (b"a@b", (b"a", b"b")),
        (b"a@b@c", (b"a@b", b"c")),
        (b"a", (b"a", None)),
        (b"a@", (b"a", b"")),
        (b"@b", (b"", b"b")),
    ],
)
def test_the_last_at_sign_divides(whole: bytes, parts: tuple[bytes, bytes | None]) -> None:
    assert address.split(whole) == parts
