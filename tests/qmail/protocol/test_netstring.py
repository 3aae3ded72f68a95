"""Netstrings: spec qmail-smtp 1.8; whole and at every cut of the input."""

from __future__ import annotations

import pytest

from qmail.protocol.netstring import Malformed, Reader, Strings, TooLarge, pack


def read(data: bytes, size: int, room: int | None = None) -> list[bytes]:
    reader = Reader(room)
    strings, pieces = [], []
    for at in range(0, len(data), size):
        for piece, ended in reader.feed(data[at : at + size]):
            pieces.append(piece)
            if ended:
                strings.append(b"".join(pieces))
                pieces = []
    if not reader.between:
        raise EOFError
    return strings


GOOD = [
    (b"", []),
    (b"0:,", [b""]),
    (b":,", [b""]),
    (b"3:abc,", [b"abc"]),
    (b"0003:a,b,1:,,", [b"a,b", b","]),
    (pack(pack(b"x") + pack(b"")), [b"1:x,0:,"]),
    (pack(bytes(range(256)) * 8), [bytes(range(256)) * 8]),
]


@pytest.mark.parametrize(("data", "strings"), GOOD)
def test_netstrings_are_read(data: bytes, strings: list[bytes]) -> None:
    for size in (1, 2, 3, 7, 10000):
        assert read(data, size) == strings


BAD = [
    (b"3:abc", EOFError),
    (b"3:ab", EOFError),
    (b"3", EOFError),
    (b"0:", EOFError),
    (b"3:abcd", Malformed),
    (b"0:x", Malformed),
    (b"-1:,", Malformed),
    (b" 1:x,", Malformed),
    (b"1 :x,", Malformed),
    (b"1:x,\n", Malformed),
    (b"2000000010", TooLarge),
    (b"200000001x", TooLarge),
    (b"20000000x", Malformed),
    (b"200000000x", Malformed),
]


@pytest.mark.parametrize(("data", "error"), BAD)
def test_anything_else_is_not(data: bytes, error: type[Exception]) -> None:
    for size in (1, 2, 100):
        with pytest.raises(error):
            read(data, size)


def test_the_length_is_known_before_the_bytes() -> None:
    reader = Reader()
    assert list(reader.feed(b"2000000009:")) == []  # the last digit is still taken
    assert reader.length == 2000000009
    assert list(reader.feed(b"abc")) == [(b"abc", False)]
    assert not reader.between


def test_what_was_good_comes_before_the_error() -> None:
    reader = Reader()
    got = reader.feed(b"1:a,x")
    assert [next(got), next(got)] == [(b"a", False), (b"", True)]
    with pytest.raises(Malformed):
        next(got)


def test_bytes_are_given_before_their_comma_is_looked_at() -> None:
    got = Reader().feed(b"1:a;")
    assert next(got) == (b"a", False)
    with pytest.raises(Malformed):
        next(got)


def test_netstrings_inside_must_fit() -> None:
    assert read(b"1:a,2:bc,", 1, room=9) == [b"a", b"bc"]
    for data, room in ((b"1:a,2:", 8), (b"9", 0), (b"1:", 3), (b"000", 2)):
        with pytest.raises(Malformed):
            read(data, 1, room)


def test_short_strings_come_whole_and_long_ones_cut() -> None:
    strings = Strings(limit=4)
    data = b"3:abc,0:,6:defghi,4:jklm,"
    whole = list(strings.feed(data))
    assert whole == [b"abc", b"", b"defg", b"jklm"]
    slow = Strings(limit=4)
    assert [s for i in range(len(data)) for s in slow.feed(data[i : i + 1])] == whole
    assert slow.between
