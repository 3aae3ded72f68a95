"""Netstrings: any bytes, in any pieces, are read as a slow reading of their definition reads them."""

from __future__ import annotations

from qmail.protocol.netstring import LARGEST, Malformed, Reader, Strings, TooLarge, pack
from tests.fuzz.harness import cuts, fuzz, same

WORDS = (b"0:,", b"5:hello,", b"00003:", b":", b",", b"9", b"200000000:", b"2000000001:")
Outcome = tuple[list[bytes], str]


def by_definition(data: bytes) -> Outcome:
    """Whole netstrings at the start of `data`, and how the reading ended."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        digits = length = 0
        while True:
            if at + digits >= len(data):
                return found, "open"
            byte = data[at + digits]
            if byte == ord(":"):
                break
            if length > LARGEST:
                return found, "TooLarge"
            if byte not in b"0123456789":
                return found, "Malformed"
            length = length * 10 + byte - 48
            digits += 1
        start = at + digits + 1
        if start + length >= len(data):
            return found, "open"
        if data[start + length] != ord(","):
            return found, "Malformed"
        found.append(data[start : start + length])
        at = start + length + 1
    return found, "between"


def by_reader(pieces: list[bytes]) -> Outcome:
    reader, found, kept = Reader(), [], b""
    try:
        for piece in pieces:
            for part, ended in reader.feed(piece):
                kept += part
                if ended:
                    found.append(kept)
                    kept = b""
    except (Malformed, TooLarge) as error:
        return found, type(error).__name__
    return found, "between" if reader.between else "open"


@fuzz(words=WORDS, seeds=[b"5:hello,0:,", b"3:a:,,", b"x:"])
def test_any_bytes_in_any_pieces_are_read_as_defined(data: bytes) -> None:
    for pieces in cuts(data):
        assert by_reader(pieces) == by_definition(data)


@fuzz(words=WORDS, seeds=[b"\x0a5:hello,0:,", b"\x033:a:,,"])
def test_netstrings_inside_one_never_pass_its_end(data: bytes) -> None:
    room, data = (data[0], data[1:]) if data else (0, b"")
    outcomes = []
    for pieces in cuts(data):
        strings, found = Strings(20, room), []
        try:
            for piece in pieces:
                found += strings.feed(piece)
            end = "between" if strings.between else "open"
        except (Malformed, TooLarge) as error:
            end = type(error).__name__
        assert sum(len(string) + len(b":,") for string in found) <= room
        outcomes.append((found, end))
    same(outcomes)


@fuzz()
def test_what_is_packed_is_read_back(data: bytes) -> None:
    assert by_reader([pack(data)]) == ([data], "between")
