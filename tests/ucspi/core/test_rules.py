"""Rules: the grammar, the order of look-up, and files that are no database."""

from __future__ import annotations

import errno
import os
import random
import struct
from pathlib import Path

import cdbx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucspi.core import rules


def parse(text: bytes, step: int | None = None) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    parser = rules.Parser(lambda key, data: found.append((key, data)))
    for i in range(0, len(text), step or max(1, len(text))):
        parser.receive(text[i : i + (step or len(text))])
    parser.close()
    return found


def make(path: Path, records: list[tuple[bytes, bytes]]) -> bytes:
    maker = cdbx.CDB.make(str(path))
    for key, data in records:
        maker.add(key, data)
    maker.commit().close()
    return os.fsencode(path)


@pytest.mark.parametrize(
    ("text", "records"),
    [
        (b"", []),
        (b"1.2.3.4:allow\n", [(b"1.2.3.4", b"")]),
        (b"1.2.3.4:deny", [(b"1.2.3.4", b"D\0")]),
        (b":deny \t\n", [(b"", b"D\0")]),
        (b"# comment: really\n\nno colon at all\n  \n:allow\n", [(b"", b"")]),
        (b" #x:allow\n", [(b" #x", b"")]),
        (b'1.2.3.4:deny,X="1"\n', [(b"1.2.3.4", b"D\0+X=1\0")]),
        (b'a:allow,A="x",B=/a b/,C=qhelloq,D==a=,E=""\n', [(b"a", b"+A=x\0+B=a b\0+C=hello\0+D=a\0+E=\0")]),
        (b'a:allow,="x",B,C="y"\n', [(b"a", b"+=x\0+B,C=y\0")]),
        (b"a:allow\na:deny\n", [(b"a", b""), (b"a", b"D\0")]),
        (b"1.2.3.250-300:deny\n", [(b"1.2.3.%d" % n, b"D\0") for n in range(250, 256)]),
        (b"1.2.3.-4:deny\n", [(b"1.2.3.%d" % n, b"D\0") for n in range(5)]),
        (b"1.2.3.5-3:deny\n", []),
        (b"1-2.3-4.:deny\n", [(b"1.3-4.", b"D\0"), (b"2.3-4.", b"D\0")]),
        (b"1.2.08-009:deny\n", [(b"1.2.8", b"D\0"), (b"1.2.9", b"D\0")]),
        (b"=a-b.example:deny\n", [(b"=a-b.example", b"D\0")]),
        (b"a-b@1.2.3.4:deny\n", [(b"a-b@1.2.3.4", b"D\0")]),
        (b"-:deny\n", [(b"0", b"D\0")]),
        (b'a:allow,A="1:2"', [(b"a", b"+A=1:2\0")]),
    ],
)
def test_a_line_becomes_these_records(text: bytes, records: list[tuple[bytes, bytes]]) -> None:
    assert parse(text) == records
    assert parse(text, 1) == records
    assert parse(text + b"\n" if text and not text.endswith(b"\n") else text) == records


@pytest.mark.parametrize(
    "line",
    [
        b"a:allowed", b"a:denyx", b'a:allow ,A="x"', b'a:allow,A="x', b"a:allow,A=", b'a:allow,A="x"B="y"',
        b"a:allow,", b"a:", b"a:DENY", b"a: deny", b"a:deny\r", b"a-b.example:deny", b"1.2.3x-4:deny", b"1-2-3:deny",
        b":",
    ],
)  # fmt: skip
def test_a_bad_line_stops_and_is_reported_without_its_blanks(line: bytes) -> None:
    found: list[tuple[bytes, bytes]] = []
    parser = rules.Parser(lambda key, data: found.append((key, data)))
    with pytest.raises(rules.Malformed) as e:
        parser.receive(b"x:allow\n" + line + b" \t\ny:allow\n")
    assert e.value.line == line
    assert found[:1] == [(b"x", b"")]
    assert (b"y", b"") not in found


def test_a_line_without_colon_is_ignored_and_told_with_its_number() -> None:
    told: list[tuple[int, bytes]] = []
    parser = rules.Parser(lambda key, data: None, lambda number, _what, line: told.append((number, line)))
    parser.receive(b"# c\n:allow\nallow\n\n 1.2.")
    parser.receive(b"3.4 deny \n:deny\nlast")
    parser.close()
    assert told == [(3, b"allow"), (5, b" 1.2.3.4 deny"), (7, b"last")]


TEXT = st.lists(
    st.sampled_from(
        [b"1.2.3.4", b"10.0.0.", b"=host", b":", b"allow", b"deny", b",", b'A="x"', b"\n", b"\n"]
        + [b" ", b"#", b"-", b"7", b".", b"=", b":allow\n", b":deny\n"]
    )
).map(b"".join)


@given(TEXT, st.integers(1, 40))
def test_how_the_text_is_cut_into_blocks_changes_nothing(text: bytes, step: int) -> None:
    def outcome(size: int | None) -> object:
        found: list[tuple[bytes, bytes]] = []
        parser = rules.Parser(lambda key, data: found.append((key, data)))
        try:
            for i in range(0, len(text), size or max(1, len(text))):
                parser.receive(text[i : i + (size or len(text))])
            parser.close()
        except rules.Malformed as e:
            return found, e.line
        return found

    assert outcome(None) == outcome(step)


def test_the_first_key_in_this_order_decides(tmp_path: Path) -> None:
    order = [
        b"joe@1.2.3.4", b"joe@=a.b.c", b"1.2.3.4", b"=a.b.c", b"1.2.3.", b"1.2.", b"1.", b"=.b.c", b"=.c", b"=", b"",
    ]  # fmt: skip
    assert list(rules.candidates(b"1.2.3.4", b"a.b.c", b"joe")) == order
    for i in range(len(order)):
        path = make(tmp_path / "cdb", [(key, b"+K=%b\0" % key) for key in reversed(order[i:])])
        with rules.Rules.open(path) as opened:
            verdict = opened.lookup(b"1.2.3.4", b"a.b.c", b"joe")
        assert verdict is not None and verdict.key == order[i]


@pytest.mark.parametrize(
    ("host", "info", "keys"),
    [
        (None, None, [b"1.2", b"1.", b""]),
        (None, b"", [b"@1.2", b"1.2", b"1.", b""]),
        (b"", None, [b"1.2", b"=", b"1.", b"=", b""]),
        (b".x", None, [b"1.2", b"=.x", b"1.", b"=.x", b"=", b""]),
    ],
)
def test_unset_names_are_skipped_and_empty_ones_count(
    host: bytes | None, info: bytes | None, keys: list[bytes]
) -> None:
    assert list(rules.candidates(b"1.2", host, info)) == keys


def test_no_rule_at_all_is_no_verdict_and_the_first_of_two_equal_keys_wins(tmp_path: Path) -> None:
    with rules.Rules.open(make(tmp_path / "a", [(b"1.2.3.4", b"")])) as opened:
        assert opened.lookup(b"4.3.2.1", None, None) is None
    with rules.Rules.open(make(tmp_path / "b", [(b"", b"D\0"), (b"", b"")])) as opened:
        found = opened.lookup(b"4.3.2.1", None, None)
        assert found is not None and found.deny


def test_strings_of_other_kinds_and_an_unfinished_tail_are_passed_over() -> None:
    verdict = rules.verdict(b"k", b"+A=1\0x\0+B\0\0D\0+C=x=y\0+D=cut")
    assert verdict.deny and verdict.variables == [(b"A", b"1"), (b"C", b"x=y")]


def test_a_large_file_is_read_where_it_matters(tmp_path: Path) -> None:
    records = [(b"10.%d.%d.%d" % (i >> 16, i >> 8 & 255, i & 255), b"+N=%d\0" % i) for i in range(20000)]
    with rules.Rules.open(make(tmp_path / "cdb", records)) as opened:
        for key, data in random.Random(1).sample(records, 200):
            assert opened.get(key) == data
        assert opened.get(b"no") is None


# --- files that are none


def damage() -> list[bytes]:
    table = struct.pack("<II", 2048, 1) * 256
    return [
        b"", b"x", b"\0" * 2047, struct.pack("<II", 2048, 1 << 29) * 256, struct.pack("<II", 0xFFFFFFF8, 2) * 256,
        table, table + b"\1\0\0\0", table + struct.pack("<II", 5381, 0xFFFFFFF0),
        table + struct.pack("<IIII", 5381, 2056, 0, 0xFFFFFFFF),
        table + struct.pack("<IIII", 5381, 2056, 0, 1 << 19),
    ]  # fmt: skip


@pytest.mark.parametrize("content", damage())
def test_a_damaged_file_is_a_protocol_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cdb"
    path.write_bytes(content)
    with pytest.raises(rules.Corrupt) as e, rules.Rules.open(os.fsencode(path)) as opened:
        opened.lookup(b"1.2.3.4", b"host", b"info")
    assert e.value.errno == errno.EPROTO


@given(st.binary(max_size=64), st.integers(0, 2300), st.integers(0, 2300))
def test_no_damage_does_more_than_raise_corrupt(noise: bytes, at: int, length: int) -> None:
    good = bytearray(_good())
    good[at : at + len(noise)] = noise
    reading, writing = os.pipe()
    os.close(writing)
    opened = rules.Rules.__new__(rules.Rules)
    opened._networks = True
    opened._fd, opened.path = reading, b"x"
    opened._text = bytes(good[:length])
    opened._size = len(opened._text)
    try:
        if len(opened._text) >= rules.HEADER:
            opened.lookup(b"1.2.3.4", b"host", b"info")
    except rules.Corrupt:
        pass
    except OSError as e:
        assert e.errno == errno.ESPIPE
    finally:
        opened.close()


def _good() -> bytes:
    fd = os.memfd_create("rules")
    maker = cdbx.CDB.make(fd, mmap=False)
    for key in (b"1.2.3.4", b"1.2.", b""):
        maker.add(key, b"+A=b\0")
    maker.commit()
    size = os.lseek(fd, 0, os.SEEK_END)
    text = os.pread(fd, size, 0)
    os.close(fd)
    return text


def test_a_directory_and_a_missing_file_are_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        rules.Rules.open(os.fsencode(tmp_path))
    with pytest.raises(FileNotFoundError):
        rules.Rules.open(os.fsencode(tmp_path / "none"))


def keys(text: bytes) -> list[bytes]:
    found: list[bytes] = []
    parser = rules.Parser(lambda key, _data: found.append(key))
    parser.receive(text)
    parser.close()
    return found


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b"2001:DB8:0::1:allow", b"2001:db8::1"),
        (b"::1:deny", b"::1"),
        (b"2001:db8::1234/32:deny", b"2001:db8::/32"),
        (b'fe80::/10:allow,A="b:deny"', b"fe80::/10"),
        (b"2001:db8::deny", b"2001:db8:"),  # a prefix of text, as 192.168. is one
        (b"10.1.2.3/8:allow", b"10.0.0.0/8"),
        (b"1.2.3.4/0:deny", b"0.0.0.0/0"),
        (b"joe@2001:DB8::1:deny", b"joe@2001:db8::1"),
        (b"10.0.0.0/33:allow", b"10.0.0.0/33"),  # no network: stored as the original stores it
    ],
)
def test_ipv6_addresses_and_networks_are_keys_in_one_spelling(line: bytes, key: bytes) -> None:
    assert keys(line + b"\n") == [key]


@pytest.mark.parametrize(
    "line",
    [
        b"2001:db8::1",
        b"x:y:allow",
        b"2001:db8::g:allow",
        b"::1/129:allow",
        b"::1:allowed",
        b"::deny",
        b"a:b@::1:deny",
        b"joe@2001:db8:deny",
        b"joe@::/0:deny",
    ],
)
def test_what_is_neither_a_rule_nor_one_for_ipv6_is_refused(line: bytes) -> None:
    with pytest.raises(rules.Malformed) as e:
        keys(line + b"\n")
    assert e.value.line == line


def test_the_narrowest_network_decides_behind_exact_addresses_and_prefixes(tmp_path: Path) -> None:
    nets = [(b"10.0.0.0/8", b"+N=8\0"), (b"10.1.0.0/16", b"+N=16\0"), (b"10.1.2.", b"+N=prefix\0"), (b"", b"D\0")]
    nets += [
        (b"2001:db8::/32", b"+N=32\0"),
        (b"2001:db8:1:", b"+N=prefix\0"),
        (b"2001:db8::1", b"+N=exact\0"),
        (b"::/0", b"+N=all\0"),
    ]
    wanted = {
        b"10.9.9.9": b"8", b"10.1.9.9": b"16", b"10.1.2.3": b"prefix", b"11.0.0.1": None,
        b"2001:db8::2": b"32", b"2001:db8:1::2": b"prefix", b"2001:db8::1": b"exact", b"2001:db9::1": b"all", b"": None,
    }  # fmt: skip
    with rules.Rules.open(make(tmp_path / "cdb", nets)) as opened:
        for address, value in wanted.items():
            verdict = opened.lookup(address, None, None)
            assert verdict is not None
            assert (verdict.deny, verdict.variables) == (value is None, [(b"N", value)] if value else [])
