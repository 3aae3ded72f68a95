"""users/assign, users/cdb and the password file."""

from __future__ import annotations

import os
import pwd
import random
import struct

import pytest

from qmail.core import users

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ASSIGN = b"""\
=joe.shmoe:joe:503:78:/home/joe:::
=joe.SHMOE:second:1:1:/no:::
+:alias:7790:2108:/var/qmail/alias:-::
+joe-:joe:503:78:/home/joe:-::
+joe-list:joe2:504:79:/home/joe2:-:list:more:than:seven:
+UP:up:505:80:/home/up:-::
=CASE:case:506:81:/home/case:-:Ext:
xodd:odd:507:82:/home/odd:::
.
=after:the:1:1:/dot:::
"""


def small_cdb(records: list[tuple[bytes, bytes]]) -> bytes:
    """A constant database written as the format is described: an independent witness for ours."""
    body, tables = b"", [[] for _ in range(256)]  # type: ignore[var-annotated]
    for key, data in records:
        h = 5381
        for byte in key:
            h = (h * 33 & 0xFFFFFFFF) ^ byte
        tables[h & 255].append((h, 2048 + len(body)))
        body += struct.pack("<LL", len(key), len(data)) + key + data
    header, end = b"", b""
    for table in tables:
        slots = [(0, 0)] * (2 * len(table))
        header += struct.pack("<LL", 2048 + len(body) + len(end), len(slots))
        for h, position in table:
            slot = (h >> 8) % len(slots)
            while slots[slot][1]:
                slot = (slot + 1) % len(slots)
            slots[slot] = (h, position)
        end += b"".join(struct.pack("<LL", *slot) for slot in slots)
    return header + body + end


def build(path: Path, text: bytes) -> bytes:
    """The path of a users/cdb made of this users/assign."""
    fd = os.open(path / "cdb", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        users.build(fd, text.splitlines(keepends=True))
    finally:
        os.close(fd)
    return os.fsencode(path / "cdb")


FOUND = [
    (b"joe.shmoe", b"joe\x00503\x0078\0/home/joe\0\0\0"),
    (b"Joe.Shmoe", b"joe\x00503\x0078\0/home/joe\0\0\0"),
    (b"joe.shmoe2", b"alias\x007790\x002108\0/var/qmail/alias\0-\0joe.shmoe2\0"),
    (b"joe-", b"joe\x00503\x0078\0/home/joe\0-\0\0"),
    (b"joe-Foo-Bar", b"joe\x00503\x0078\0/home/joe\0-\0Foo-Bar\0"),
    (b"JOE-LISTING", b"joe2\x00504\x0079\0/home/joe2\0-\0listING\0"),
    (b"upper", b"alias\x007790\x002108\0/var/qmail/alias\0-\0upper\0"),
    (b"UPper", b"alias\x007790\x002108\0/var/qmail/alias\0-\0UPper\0"),
    (b"case", b"case\x00506\x0081\0/home/case\0-\0Ext\0"),
    (b"odd", b"odd\x00507\x0082\0/home/odd\0\0\0"),
    (b"after", b"alias\x007790\x002108\0/var/qmail/alias\0-\0after\0"),
]


@pytest.mark.parametrize(("local", "strings"), FOUND)
def test_an_address_finds_its_line(tmp_path: Path, local: bytes, strings: bytes) -> None:
    user = users.assigned(build(tmp_path, ASSIGN), local)
    assert user is not None
    assert user.pack() == strings


def test_without_a_wildcard_or_a_database_nobody_is_found(tmp_path: Path) -> None:
    assert users.assigned(os.fsencode(tmp_path / "cdb"), b"joe") is None
    assert users.assigned(build(tmp_path, b"=joe:j:1:2:/:::\n."), b"jo") is None
    assert users.assigned(build(tmp_path, b"."), b"joe") is None


def test_records_follow_the_lines_and_the_wild_characters_come_last() -> None:
    assert list(users.records(ASSIGN.splitlines(keepends=True))) == [
        (b"!joe.shmoe\0", b"joe\x00503\x0078\0/home/joe\0\0"),
        (b"!joe.shmoe\0", b"second\x001\x001\0/no\0\0"),
        (b"!", b"alias\x007790\x002108\0/var/qmail/alias\0-\0"),
        (b"!joe-", b"joe\x00503\x0078\0/home/joe\0-\0"),
        (b"!joe-list", b"joe2\x00504\x0079\0/home/joe2\0-\0list"),
        (b"!up", b"up\x00505\x0080\0/home/up\0-\0"),
        (b"!case\0", b"case\x00506\x0081\0/home/case\0-\0Ext"),
        (b"!odd\0", b"odd\x00507\x0082\0/home/odd\0\0"),
        (b"", b"-tP"),
    ]


def test_the_database_is_byte_for_byte_the_standard_one(tmp_path: Path) -> None:
    lines = [b"=user%d:u%d:%d:%d:/home/u%d:::\n" % ((i,) * 5) for i in range(500)]
    lines += [b"+user%d-:u%d:%d:%d:/home/u%d:-::\n" % ((i,) * 5) for i in range(500)]
    for text in (ASSIGN, b".\n", b"".join([*lines, b"."])):
        made = users.records(text.splitlines(keepends=True))
        with open(build(tmp_path, text), "rb") as database:
            assert database.read() == small_cdb(list(made))


BAD = [
    b"",
    b"=a:a:1:2:/:::\n",
    b"=a:a:1:2:/::\n.\n",
    b":a:1:2:/:::\n.\n",
    b"=a\n.\n",
    b"\n.\n",
    b"=a\0:a:1:2:/:::\n.\n",
]


@pytest.mark.parametrize("text", [*BAD, b"=a:a:1:2:/:::"])
def test_a_line_that_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(users.BadFormat):
        list(users.records(text.splitlines(keepends=True)))


def test_the_first_character_counts_as_exact_unless_it_is_a_plus() -> None:
    assert next(users.records([b"xodd:a:b:c:d:e:f:\n"])) == (b"!odd\0", b"a\0b\0c\0d\0e\0f")


def test_a_damaged_database_is_an_error_and_no_answer(tmp_path: Path) -> None:
    path = build(tmp_path, ASSIGN)
    with open(path, "rb") as database:
        good = database.read()
    for bad in (b"", good[:100], good[:2047], small_cdb([(b"!joe\0", b"no wild characters")])):
        with open(path, "wb") as database:
            database.write(bad)
        with pytest.raises(OSError):
            users.assigned(path, b"joe-x")


def test_no_damage_makes_more_than_an_error(tmp_path: Path) -> None:
    path, chance = build(tmp_path, ASSIGN), random.Random(1)
    with open(path, "rb") as database:
        good = database.read()
    for _ in range(300):
        bad = bytearray(good[: chance.randrange(len(good))] if chance.random() < 0.3 else good)
        for _ in range(chance.randrange(60)):
            if bad:
                bad[chance.randrange(len(bad))] = chance.randrange(256)
        with open(path, "wb") as database:
            database.write(bad)
        try:
            users.assigned(path, b"joe-list-x")
        except (OSError, users.Malformed):
            pass


@pytest.mark.parametrize("data", [b"", b"a\0001\0002\0/\0-\0", b"one"])
def test_less_than_six_strings_are_no_user(data: bytes) -> None:
    with pytest.raises(users.Malformed):
        users.User.unpack(data)


def test_numbers_are_read_as_the_original_reads_them() -> None:
    user = users.User.unpack(b"u\x00%d\x0012x\0/h\0\0\0" % 2**32)
    assert (user.uid, user.gid) == (0, 12)


# --- the password file


def passwd(home: Path, **others: tuple[int, str]) -> Callable[[str], pwd.struct_passwd]:
    """A getpwnam for the accounts bela and alias, and others as given: uid and home."""
    known = {"bela": (os.getuid() or 1008, str(home)), "alias": (7790, "/var/qmail/alias"), **others}

    def getpwnam(name: str) -> pwd.struct_passwd:
        uid, directory = known[name]
        return pwd.struct_passwd((name, "x", uid, 1008, "", directory, "/bin/sh"))

    return getpwnam


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """bela's home."""
    if os.getuid() == 0:
        os.chown(tmp_path, 1008, 1008)
    return tmp_path


ACCOUNTS = [
    (b"bela", b"bela", b"", b""),
    (b"BELA", b"bela", b"", b""),
    (b"bela-Foo-Bar", b"bela", b"-", b"Foo-Bar"),
    (b"bela-", b"bela", b"-", b""),
    (b"root", b"alias", b"-", b"root"),
    (b"nosuch-x", b"alias", b"-", b"nosuch-x"),
    (b"alias-x", b"alias", b"-", b"alias-x"),
    (b"", b"alias", b"-", b""),
    (b"belax", b"alias", b"-", b"belax"),
    (b"bela-x-y", b"bela-x", b"-", b"y"),
    (b"nohome", b"alias", b"-", b"nohome"),
    (b"a" * 31, b"a" * 31, b"", b""),
    (b"b" * 32, b"alias", b"-", b"b" * 32),
]


@pytest.mark.parametrize(("local", "name", "dash", "ext"), ACCOUNTS)
def test_the_longest_account_that_owns_its_home_wins(
    home: Path, local: bytes, name: bytes, dash: bytes, ext: bytes
) -> None:
    mine = (os.stat(home).st_uid, str(home))
    others = {"root": (0, "/"), "nohome": (1009, "/nonexistent"), "bela-x": mine, "a" * 31: mine, "b" * 32: mine}
    user = users.account(local, passwd(home, **others))
    assert (user.name, user.dash, user.ext) == (name, dash, ext)


def test_an_extension_that_is_an_account_of_somebody_else_stays_an_extension(home: Path) -> None:
    user = users.account(b"bela-Foo-Bar", passwd(home, foo=(5, "/")))
    assert (user.name, user.ext) == (b"bela", b"Foo-Bar")


def test_without_the_account_alias_there_is_no_answer(home: Path) -> None:
    def nobody(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    with pytest.raises(users.Lookup) as failure:
        users.account(b"x", nobody)
    assert failure.value.code == users.NO_ALIAS == 116


def test_a_home_that_cannot_be_looked_at_for_now_is_temporary(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(path: str) -> os.stat_result:
        raise OSError(116, "stale")

    lookup = passwd(home)
    monkeypatch.setattr(users.os, "stat", stale)
    with pytest.raises(users.Lookup) as failure:
        users.account(b"bela", lookup)
    assert failure.value.code == users.NFS == 115
