"""users/assign, the database made of it, and what else may lie in its place."""

from __future__ import annotations

import os

from qmail.core import users
from qmail.core.users import BadFormat, Malformed, User
from tests.fuzz.harness import fuzz

WORDS = (b"=", b"+", b":", b"u:1:2:/h::", b"joe", b"JOE-", b"-", b"\n", b".\n", b"+joe-:u:1:2:/h:-::\n", b"\0")
SEEDS = [b"=joe:joe:7:8:/home/joe:::\n+joe-:joe:7:8:/home/joe:-::\n+:alias:1:2:/a:-::\n.\n", b"=a:b:c:d:e:f:g\n.\n"]


def database(data: bytes) -> bytes:
    """The path of a file with these bytes, by a descriptor that the next call closes."""
    fd = os.memfd_create("cdb")
    os.write(fd, data)
    return b"/proc/self/fd/%d" % fd


def close(path: bytes) -> None:
    os.close(int(path.rpartition(b"/")[2]))


def by_lines(lines: list[bytes], local: bytes) -> bytes | None:
    """What a reading of the text says of an address: exact first, then the longest start; the first of equals."""
    starts: dict[bytes, bytes] = {}
    exact: dict[bytes, bytes] = {}
    wild = set()
    for line in lines:
        if line.startswith(b"."):
            break
        address, *fields = line.split(b":")
        (starts if address[:1] == b"+" else exact).setdefault(address[1:].lower(), b"\0".join(fields[:6]))
        if address[:1] == b"+":
            wild.add(address[-1:])
    if local.lower() in exact:
        return exact[local.lower()]
    for end in range(len(local), -1, -1):
        loc = local[:end].lower()
        if loc in starts and (not loc or loc[-1:] in wild):  # the wild characters keep their case, the key does not
            return starts[loc] + local[end:]
    return None


@fuzz(words=WORDS, seeds=SEEDS, raises=(BadFormat,))
def test_the_database_says_what_the_text_says(data: bytes) -> None:
    lines = data.splitlines(keepends=True) if b"\r" not in data else [data]
    lines = [line for line in lines if line.endswith(b"\n")]
    path = database(b"")
    try:
        users.build(int(path.rpartition(b"/")[2]), lines)
        for local in (b"joe", b"JOE-x", b"joe-", b"a", b"", b"nobody-Ext"):
            wanted = by_lines(lines, local)
            try:
                found = users.assigned(path, local)
            except Malformed:
                assert wanted is not None and wanted.count(b"\0") < 5
                continue
            expected = User.unpack(wanted + b"\0").pack() if wanted is not None else None
            assert (found.pack() if found else None) == expected
    finally:
        close(path)


@fuzz(
    seeds=[bytes(2048), b"\x00\x08\x00\x00\x01\x00\x00\x00" * 256, b"\xff" * 2048 + bytes(64)],
    raises=(OSError, Malformed),
)
def test_any_file_in_the_place_of_the_database_is_an_answer_or_a_documented_error(data: bytes) -> None:
    path = database(data)
    try:
        users.assigned(path, b"joe-ext")
    finally:
        close(path)


@fuzz(words=(b"joe\0", b"7\0", b"/home\0", b"-\0", b"4294967296\0", b"\0"), raises=(Malformed,))
def test_six_strings_are_a_user_whose_uid_is_the_one_the_kernel_would_see(data: bytes) -> None:
    user = User.unpack(data)
    assert 0 <= user.uid < 1 << 32 and 0 <= user.gid < 1 << 32
    assert User.unpack(user.pack()).pack() == user.pack()
