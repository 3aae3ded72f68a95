"""The 822 tokeniser, the header reader and the rewriting of qmail-inject: any bytes at all."""

from __future__ import annotations

from qmail.core.injection import RESENT, Author, Injection, domain_tokens
from qmail.protocol import token822
from qmail.protocol.address822 import Rewriting, rewrite_list
from qmail.protocol.header822 import HeaderReader, field_name
from qmail.protocol.token822 import Malformed
from tests.fuzz.harness import assert_linear, cuts, fuzz, same
from ucspi.core.failure import PermanentFailure

WORDS = (b"To: ", b"From: ", b"Bcc: ", b"Return-Path: ", b"a@b.c", b"<", b">", b"@", b":", b";", b",", b".", b'"', b"\\",
         b"(", b")", b"[", b"]", b" ", b"\t", b"\n", b"+", b"\0", b"\xff", b"@[]", b"@r1,@r2:")  # fmt: skip
SPECIALS = set(b' .,@<>:;"([')
HEADERS = (
    *WORDS,
    b"Resent-To: x\n",
    b"Date: x\n",
    b"Message-ID: <x@y>\n",
    b"\n\n",
    b"From mbox\n",
    b"Mail-Followup-To: x\n",
)
SEEDS = [
    b"To: bob, Alice <alice@wonder> (sec), list: a, b;, <@r1,@r2:u@h.example>\n",
    b'From: "Joe Q. Public" <joe+@[192.0.2.1]>\n',
    b"To: (unbalanced\n",
]
MESSAGES = [
    b"To: bob, Alice <alice@wonder>\nCc: c@d.example\nBcc: hid@den.example (sec)\nReturn-Path: <rp@here>\n\nbody\n",
    b"Resent-To: r\nResent-Bcc: rb\nTo: g\nFrom: a\n\n",
    b"From mboxline\nTo: x\nnot a header\n",
]


@fuzz(words=WORDS, seeds=SEEDS, raises=(Malformed,))
def test_what_is_printed_means_what_was_read(data: bytes) -> None:
    tokens = token822.parse(data)
    printed = token822.unparse(tokens)
    assert printed.endswith(b"\n")
    # The original's, and so ours: an atom with a special made harmless by a backslash is printed without that, and of
    # an atom of no bytes nothing is left.
    if not any(kind == token822.ATOM and (not text or set(text) & SPECIALS) for kind, text in tokens):
        assert [_bare(token) for token in token822.parse(printed)] == list(map(_bare, tokens))


def _bare(token: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    kind, text = token
    return token822.QUOTE if kind == token822.ATOM else kind, text


@fuzz(words=WORDS, seeds=SEEDS, raises=(Malformed,))
def test_rewriting_shows_every_address_once_and_leaves_the_rest(data: bytes) -> None:
    tokens = token822.parse(data)
    shown: list[list[tuple[bytes, bytes]]] = []

    def keep(address: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        shown.append(address)
        return address

    done = rewrite_list(tokens, keep)
    words = [token for token in tokens if token[0] not in (token822.COMMENT, token822.COMMA)]
    assert [token for token in done if token[0] not in (token822.COMMENT, token822.COMMA)] == words
    assert sum(map(len, shown)) <= len(tokens)


@fuzz(words=HEADERS, seeds=MESSAGES)
def test_a_header_is_the_same_in_any_pieces(data: bytes) -> None:
    outcomes = []
    for pieces in cuts(data):
        reader, fields, rest = HeaderReader(), [], b""
        for piece in pieces:
            if reader.body is None:
                fields += reader.receive(piece)
            else:
                rest += piece
        fields += reader.finish()
        assert all(field.endswith(b"\n") and field_name(field) for field in fields)
        outcomes.append((fields, None if reader.body is None else reader.body + rest))
    same(outcomes)


@fuzz(words=HEADERS, seeds=MESSAGES, raises=(PermanentFailure,))
def test_an_injected_message_has_a_header_and_an_envelope_without_nul(data: bytes) -> None:
    reader, injection = HeaderReader(), _injection()
    for field in reader.receive(data) + reader.finish():
        injection.field(field)
    out = b"".join(injection.finish())
    names = [field_name(field) for field in HeaderReader().receive(out + b"\n")]
    sender, recipients = injection.envelope(header=True)
    assert b"\0" not in sender and not any(b"\0" in recipient for recipient in recipients)
    resent = not RESENT.isdisjoint(names)
    for name in (b"date", b"message-id", b"from"):
        assert (b"resent-" + name if resent else name) in names
    assert not {b"bcc", b"resent-bcc", b"return-path", b"content-length"} & set(names)


def _injection() -> Injection:
    rewriting = Rewriting(
        domain_tokens(b"@", b"dh"), domain_tokens(b".", b"ddom.example"), domain_tokens(b".", b"plus")
    )
    return Injection(Author({b"USER": b"joe"}), rewriting, b"id.example", 1795420774, 5991, frozenset((b"a@b.c",)))


@fuzz(words=WORDS, seeds=[b"joe", b"a b@c", b'"@['], raises=(PermanentFailure,))
def test_any_word_of_the_command_line_is_an_address_or_a_failure(data: bytes) -> None:
    injection = _injection()
    injection.set_sender(data)
    injection.add_recipient(data)
    injection.finish()


def test_cost_is_linear_in_the_length_of_a_field() -> None:
    def inject(data: bytes) -> None:
        reader, injection = HeaderReader(), _injection()
        try:
            for field in reader.receive(data) + reader.finish():
                injection.field(field)
            injection.finish()
        except PermanentFailure:
            pass

    for piece in (
        b"a@b, ",
        b"(",
        b"((a)",
        b'"',
        b"\\",
        b"<a>,",
        b"<",
        b"@",
        b"x:;",
        b"a b ",
        b". ",
        b"[]",
        b" \n",
        b"\xff",
    ):
        assert_linear(lambda size, piece=piece: b"To: " + piece * size + b"\n", inject, 600)  # type: ignore[misc]
    for line in (b"To: x@y\n", b"X: y\n", b" folded\n", b"Received: x\n"):
        assert_linear(lambda size, line=line: b"X: y\n" + line * size + b"\n", inject, 500)  # type: ignore[misc]
