"""rcpthosts and morercpthosts.cdb, spec qmail-smtp 2.4; and the sets of names that are kept between connections."""

from __future__ import annotations

import os
import time
from pathlib import Path

import cdbx
import pytest

from qmail.core import nameset
from qmail.core.control import Control
from qmail.core.rcpthosts import RcptHosts


def hosts(control: Path, text: str | None = None, more: bytes | None = None) -> RcptHosts:
    if text is not None:
        (control / "rcpthosts").write_text(text)
    if more is not None:
        (control / "morercpthosts.cdb").write_bytes(more)
    return RcptHosts.load(Control(os.fsencode(control)))


def database(path: Path, *keys: bytes) -> bytes:
    with open(path / "made.cdb", "wb") as file:
        maker = cdbx.CDB.make(file)
        for key in keys:
            maker.add(key, b"")
        maker.commit()
    return (path / "made.cdb").read_bytes()


@pytest.mark.parametrize(
    ("text", "recipient", "allowed"),
    [
        (None, b"any@where.example", True),
        ("", b"x@m.example", False),
        ("", b"x", True),
        ("", b"", True),
        ("# nothing\n\n", b"x@m.example", False),
        ("mail.example.org\n", b"x@MAIL.example.ORG", True),
        ("Mail.Example.Org \t\n", b"x@y@mail.example.org", True),
        ("mail.example.org", b"x@mail.example.org.", False),
        ("mail.example.org", b"x@a.mail.example.org", False),
        (".sub.example.org\n", b"x@sub.example.org", False),
        (".sub.example.org\n", b"x@a.sub.example.org", True),
        (".sub.example.org\n", b"x@a.b.sub.example.org", True),
        (".sub.example.org\n", b"x@", False),
        (".sub.example.org\n", b"x@.sub.example.org", True),
        (".example.org:x\n", b"x@a.example.org", False),
    ],
)
def test_a_recipient_is_allowed_by_its_domain(
    tmp_path: Path, text: str | None, recipient: bytes, allowed: bool
) -> None:
    assert hosts(tmp_path, text).allows(recipient) is allowed


def test_the_database_is_asked_for_what_the_list_lacks(tmp_path: Path) -> None:
    more = database(tmp_path, b"big.example", b".wild.example")
    found = hosts(tmp_path, "m.example\n", more)
    allowed = [
        found.allows(r) for r in (b"x@m.example", b"x@BIG.example", b"x@a.wild.example", b"x@wild.example", b"x@")
    ]
    found.close()
    assert allowed == [True, True, True, False, False]


def test_the_database_alone_forbids_nothing(tmp_path: Path) -> None:
    assert hosts(tmp_path, None, b"").allows(b"x@any.example")


@pytest.mark.parametrize("size", [0, 7, 2047, 2048, 2060])
def test_a_damaged_database_is_an_error_only_for_who_needs_it(tmp_path: Path, size: int) -> None:
    found = hosts(tmp_path, "m.example\n", database(tmp_path, b"big.example")[:size])
    assert found.allows(b"x@m.example")
    with pytest.raises(OSError):
        found.allows(b"x@big.example")
    found.close()


@pytest.mark.parametrize("name", ["rcpthosts", "morercpthosts.cdb"])
def test_a_list_that_cannot_be_read_is_an_error_and_not_absent(tmp_path: Path, name: str) -> None:
    (tmp_path / "rcpthosts").write_text("")
    (tmp_path / name).unlink(missing_ok=True)
    os.symlink(name, tmp_path / name)  # ELOOP, which even root gets
    with pytest.raises(OSError):
        hosts(tmp_path)


def test_closing_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    found = hosts(tmp_path, "m.example\n", database(tmp_path, b"big.example"))
    assert found.allows(b"x@big.example")
    found.close()
    found.close()
    assert sorted(os.listdir("/proc/self/fd")) == before


def old(path: Path) -> float:
    """Wait-free ageing: a file's ctime cannot be set, so the clock is what moves."""
    return path.stat().st_ctime + 10


def test_a_list_is_read_once_as_long_as_it_is_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list_, control = tmp_path / "badmailfrom", Control(os.fsencode(tmp_path))
    list_.write_text("A@b.example\n")
    monkeypatch.setattr(time, "time", lambda: old(list_))
    first = nameset.load(control, b"badmailfrom")
    assert first == frozenset((b"a@b.example",))
    assert nameset.load(control, b"badmailfrom") is first
    list_.write_text("C@bb.example\n")
    assert nameset.load(control, b"badmailfrom") == frozenset((b"c@bb.example",))
    list_.unlink()
    assert nameset.load(control, b"badmailfrom") is None


def test_a_list_just_written_is_not_kept(tmp_path: Path) -> None:
    list_, control = tmp_path / "badmailfrom", Control(os.fsencode(tmp_path))
    list_.write_text("a\n")
    assert nameset.load(control, b"badmailfrom") is not nameset.load(control, b"badmailfrom")


def test_what_is_kept_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control = Control(os.fsencode(tmp_path))
    for i in range(50):
        (tmp_path / f"list{i}").write_text("x\n")
        monkeypatch.setattr(time, "time", lambda i=i: old(tmp_path / f"list{i}"))
        nameset.load(control, b"list%d" % i)
    assert len(nameset._kept) <= nameset.KEPT
