"""Rules: any text is compiled alike in any pieces, and any file is read without harm."""

from __future__ import annotations

import os

from tests.differential.cdbfile import rules as database
from tests.fuzz.harness import cuts, fuzz, same
from ucspi.core import rules

WORDS = (
    b":allow",
    b":deny",
    b",A=",
    b'"',
    b"\n",
    b"#",
    b"-",
    b"1.2.3.4",
    b"=",
    b"@",
    b"/8",
    b"2001:db8::1",
    b" ",
    b"\0",
    b"q",
)
TEXTS = [
    b'127.:allow,RELAYCLIENT=""\n:deny\n',
    b"1.2.3-9.:deny,A=qxq\n# no:x\n=.example:allow\n",
    b"10.0.0.0/8:deny\nx\n::1:allow\n",
]


def compiled(pieces: list[bytes]) -> tuple[list[tuple[bytes, bytes]], list[tuple[int, bytes, bytes]], bytes | None]:
    """Records, lines that are odd and why, and the line at which it stopped."""
    records: list[tuple[bytes, bytes]] = []
    odd: list[tuple[int, bytes, bytes]] = []
    parser = rules.Parser(lambda key, data: records.append((key, data)), lambda *what: odd.append(what))
    try:
        for piece in pieces:
            parser.receive(piece)
        parser.close()
    except rules.Malformed as e:
        return records, odd, e.line
    return records, odd, None


@fuzz(words=WORDS, seeds=TEXTS)
def test_how_a_text_is_cut_changes_no_rule(data: bytes) -> None:
    same([compiled(pieces) for pieces in [*cuts(data), data.splitlines(True)]])


@fuzz(words=WORDS, seeds=TEXTS)
def test_what_is_compiled_says_to_its_own_address_what_the_rule_said(data: bytes) -> None:
    for key, record in compiled([data])[0]:
        verdict = rules.verdict(key, record)
        # A NUL in a rule cuts it, in the original's records too: a piece may say D.
        assert verdict.deny == any(piece[:1] == b"D" for piece in record.split(b"\0")[:-1])
        assert all(b"\0" not in name + value for name, value in verdict.variables)


FILES = [database(("1.2.3.4", "D"), ("=h.example", "+A=1"), ("", "+B=2")), bytes(2048), database()]


@fuzz(words=(b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\x08\0\0"), seeds=FILES, raises=(rules.Corrupt,))
def test_a_file_of_any_bytes_gives_a_verdict_or_is_damaged(data: bytes) -> None:
    fd = os.memfd_create("cdb")
    os.write(fd, data)
    with rules.Rules(fd, b"cdb") as opened:
        opened.lookup(b"1.2.3.4", b"h.example", b"joe")
        opened.lookup(b"2001:db8::1", None, b"")
