"""Which .qmail file, and what its lines say."""

from __future__ import annotations

import os

import pytest

from qmail.core import dotqmail
from qmail.core.dotqmail import FORWARD, FORWARD_ONLY, MAILDIR, MBOX, PROGRAM
from ucspi.core.failure import PermanentFailure, TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

# Probe 63 and the examples of 8.3: dash, ext, the names behind ".qmail".
TRIED = [
    (b"-", b"a", b"-a -default"),
    (b"-", b"a-", b"-a- -a-default -default"),
    (b"-", b"a-b", b"-a-b -a-default -default"),
    (b"-", b"a-b-c", b"-a-b-c -a-b-default -a-default -default"),
    (b"-", b"A-B", b"-a-b -a-default -default"),
    (b"-", b"", b"- -default"),
    (b"-", b"../x/y.z", b"-::/x/y:z -default"),
    (b"-/", b"a-b", b"-/a-b -/a-default -/default"),
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("dash", "ext", "names"), TRIED)
def test_files_are_tried_from_the_longest_name_down(dash: bytes, ext: bytes, names: bytes) -> None:
    assert [name for name, _ in dotqmail.candidates(dash, ext)] == [b".qmail" + name for name in names.split()]


def test_without_dash_and_extension_it_is_dot_qmail() -> None:
    assert list(dotqmail.candidates(b"", b"")) == [(b".qmail", None), (b".qmaildefault", b"")]


DEFAULTS = [
    (b".qmail-foo-default", b"Foo-B.c-d-e", b"B.c-d-e"),
    (b".qmail-default", b"Foo-B.c", b"Foo-B.c"),
    (b".qmail-foo-b:c", b"Foo-B.c", None),
    (b".qmail-x-default", b"x-Default", b"Default"),
    (b".qmail-default", b"", b""),
]


@pytest.mark.parametrize(("name", "ext", "default"), DEFAULTS)
def test_default_is_what_the_file_name_stands_for(home: Path, name: bytes, ext: bytes, default: bytes | None) -> None:
    (home / os.fsdecode(name)).write_bytes(b"./M/\n")
    found = dotqmail.choose(b"-", ext)
    assert found is not None
    assert (found.text, found.forward_only, found.default) == (b"./M/\n", False, default)


def test_what_is_no_file_is_passed_over(home: Path) -> None:
    (home / ".qmail-a").mkdir()
    os.mkfifo(home / ".qmail-default")
    assert dotqmail.choose(b"-", b"a") is None
    assert dotqmail.choose(b"-", b"a/b") is None
    assert dotqmail.choose(b"-", b"x" * 300) is None


def test_a_file_others_can_write_stops_the_search_and_group_write_does_not(home: Path) -> None:
    (home / ".qmail-default").write_bytes(b"x\n")
    file = home / ".qmail-a"
    file.write_bytes(b"y\n")
    file.chmod(0o664)
    assert dotqmail.choose(b"-", b"a") is not None
    file.chmod(0o646)
    with pytest.raises(TemporaryFailure, match=r"^Uh-oh: \.qmail file is writable\. \(#4\.7\.0\)$"):
        dotqmail.choose(b"-", b"a")


def test_a_file_that_cannot_be_opened_stops_the_search(home: Path) -> None:
    (home / ".qmail-default").write_bytes(b"x\n")
    (home / ".qmail-l").touch(0)
    home.chmod(0o755)
    user = os.geteuid()
    os.seteuid(user or 65534)  # root may open everything
    try:
        with pytest.raises(TemporaryFailure, match=r"^Unable to open \.qmail-l: access denied\. \(#4\.3\.0\)$"):
            dotqmail.choose(b"-", b"l")
    finally:
        os.seteuid(user)


def test_the_execute_bit_means_forward_only(home: Path) -> None:
    (home / ".qmail").write_bytes(b"a@b\n")
    (home / ".qmail").chmod(0o744)
    found = dotqmail.choose(b"", b"")
    assert found is not None
    assert dotqmail.instructions(found, b"", b"./Mailbox") == (b"a@b\n", True)


def test_no_file_is_no_mailbox_unless_the_address_is_the_users_own(home: Path) -> None:
    assert dotqmail.instructions(None, b"", b"./Mailbox") == (b"./Mailbox", False)
    with pytest.raises(PermanentFailure, match=r"^Sorry, no mailbox here by that name\. \(#5\.1\.1\)$"):
        dotqmail.instructions(None, b"-", b"./Mailbox")


def test_an_empty_file_stands_for_the_default_delivery() -> None:
    empty = dotqmail.Instructions(b"", True, b"x")
    assert dotqmail.instructions(empty, b"-", b"./Mailbox") == (b"./Mailbox", False)


LINES = [
    (b"./M/\n/v/M/ \t\n./mb\n.x", [(MAILDIR, b"./M/"), (MAILDIR, b"/v/M/"), (MBOX, b"./mb"), (MBOX, b".x")]),
    (b"|a | b  \n| c", [(PROGRAM, b"a | b"), (PROGRAM, b" c")]),
    (b"&a@b\n& sp@b\n&\na@b\n b@c \n", [(FORWARD, a) for a in (b"a@b", b" sp@b", b"", b"a@b", b" b@c")]),
    (b"#x\n\n \t\n+list\n+lists\n+\na", [(FORWARD_ONLY, b""), (FORWARD, b"a")]),
    (b"#", []),
    (b"|a\0b\na@b\0c", [(PROGRAM, b"a"), (FORWARD, b"a@b")]),
    (b"\xe4@b\n", [(FORWARD, b"\xe4@b")]),
]


@pytest.mark.parametrize(("text", "expected"), LINES)
def test_the_first_byte_decides_about_a_line(text: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    assert list(dotqmail.lines(text)) == expected


@pytest.mark.parametrize("text", [b"", b"\na@b\n", b" \t\na@b\n"])
def test_the_first_line_must_not_be_blank(text: bytes) -> None:
    with pytest.raises(TemporaryFailure, match=r"^Uh-oh: first line of \.qmail file is blank\. \(#4\.2\.1\)$"):
        list(dotqmail.lines(text))


def test_the_owner_of_a_list_becomes_the_sender(home: Path) -> None:
    def sender(old: bytes) -> bytes:
        return dotqmail.new_sender(old, b"tess-L.x", b"h.example", b"-", b"L.x")

    assert sender(b"s@s") == b"s@s"
    (home / ".qmail-l:x-owner").touch()
    assert sender(b"s@s") == b"tess-L.x-owner@h.example"
    (home / ".qmail-l:x-owner-default").touch()
    assert sender(b"s@s") == b"tess-L.x-owner-@h.example-@[]"
    assert sender(b"") == b""
    assert sender(b"#@[]") == b"#@[]"
