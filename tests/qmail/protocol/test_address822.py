"""Address lists: spec qmail-smtp 6.3."""

from __future__ import annotations

import pytest

from qmail.protocol.address822 import Rewriting, rewrite_list
from qmail.protocol.token822 import Malformed, parse, unparse, unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.protocol.address822 import Address


def read(text: bytes) -> tuple[bytes, list[bytes]]:
    """The list printed with every address in angle marks of its own, and the addresses in the order they were found."""
    found: list[bytes] = []

    def mark(address: Address) -> Address:
        found.append(unquote(address))
        return [(b"[", unquote(address))]

    tokens = rewrite_list(parse(b"To:" + text), mark)
    return unparse(tokens).removeprefix(b"To:").strip(), found


LISTS = [
    (b"", b"", []),
    (b"a", b"[a]", [b"a"]),
    (b"a, b@c", b"[a], [b@c]", [b"b@c", b"a"]),
    (b"a b", b"[a], [b]", [b"b", b"a"]),
    (b"a . b @ c . d e", b"[a.b@c.d], [e]", [b"e", b"a.b@c.d"]),
    (b"a (x) . b (y), c", b"[a.b] (x) (y), [c]", [b"c", b"a.b"]),
    (b"Joe Q. Public <j@p>", b"Joe Q.Public <[j@p]>", [b"j@p"]),
    (b'"J" (x) @ y . <a>', b'"J" (x)@y. <[a]>', [b"a"]),
    (b"a <b> c <d>", b"a <[b]>c <[d]>", [b"d", b"b"]),
    (b"<>", b"<[]>", [b""]),
    (b"<a, b (c)>", b"<[a,b]>", [b"a,b"]),
    (b"g: a, b c;, d", b"g: [a], [b], [c];, [d]", [b"d", b"c", b"b", b"a"]),
    (b"x, g (y) <z>: a;", b"[x], g (y) <z>: [a];", [b"a", b"x"]),
    (b"g:;", b"g: ;", []),
    (b"x, g: h: a;", b"[x], g: h: [a];", [b"a", b"x"]),
    (b",,a,,", b", , [a], ,", [b"a"]),
    (b"a < b", b"[a<b]", [b"a<b"]),
    (b"[1] [2]", b"[\\[1\\]], [\\[2\\]]", [b"[2]", b"[1]"]),
]


@pytest.mark.parametrize(("text", "printed", "found"), LISTS)
def test_addresses_are_found_from_right_to_left(text: bytes, printed: bytes, found: list[bytes]) -> None:
    assert read(text) == (printed, found)


@pytest.mark.parametrize("text", [b"a: b", b"a; b; c:", b"a>", b"g: h: a", b">"])
def test_marks_in_disorder_are_malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        read(text)


def test_addresses_right_of_a_fault_are_seen() -> None:
    found: list[bytes] = []

    def note(address: Address) -> Address:
        found.append(unquote(address))
        return address

    with pytest.raises(Malformed):
        rewrite_list(parse(b"To: a, b: c, d"), note)
    assert found == [b"d", b"c"]


REWRITTEN = [  # each rule, then their order; probe 67
    (b"", b""),
    (b"u", b"u@h.dd"),
    (b"u@x", b"u@x.dd"),
    (b"u@x.y", b"u@x.y"),
    (b"u@[1.2.3.4]", b"u@[1.2.3.4]"),
    (b"u@[]", b"u@[]"),
    (b"u@x[]", b"u@x[]"),
    (b"@r1,@r2:u@x", b"u@x.dd"),
    (b"@r1:@r2:u@x", b"@r2:u@x.dd"),
    (b"@r", b""),
    (b"@", b""),
    (b".", b""),
    (b"@a:", b""),
    (b"u.", b"u@h.dd"),
    (b"u@", b"u@h.dd"),
    (b"u@x.", b"u@x.dd"),
    (b"u@.", b"u@h.dd"),
    (b"u@@", b"u@.dd"),
    (b"u..", b"u.@h.dd"),
    (b"u+", b"u+@h.dd"),
    (b"u@x+", b"u@x.pd"),
    (b"u@x.y+", b"u@x.y.pd"),
    (b"u@+", b"u@.pd"),
    (b'"u+"', b"u+@h.dd"),
    (b'u@"x+"', b"u@x+.dd"),
    (b"a@b@c", b"a@b@c.dd"),
    (b"a@b.c@d", b"a@b.c@d.dd"),
]


@pytest.mark.parametrize(("address", "rewritten"), REWRITTEN)
def test_an_address_is_completed(address: bytes, rewritten: bytes) -> None:
    rewriting = Rewriting(parse(b"@h"), parse(b".dd"), parse(b".pd"))
    assert unquote(rewriting(parse(address))) == rewritten


def test_a_plus_at_the_end_of_the_default_host_counts() -> None:
    rewriting = Rewriting(parse(b"@h+"), parse(b".dd"), parse(b".pd"))
    assert unquote(rewriting(parse(b"u"))) == b"u@h.pd"
