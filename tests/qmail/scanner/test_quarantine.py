"""quarantine: the administrator lists, reads, releases and deletes what the scanner has kept."""

from __future__ import annotations

import os
import re

import pytest

from qmail.scanner import keeping, quarantined
from qmail.scanner.decision import Finding
from tests.support import launchers
from tests.support.scanned import CLEAN, ScannedHome
from tests.support.scanned import home as home

EVIL = b"\x1b[2J\nspam evil \xff,%41@x"


def run(home: ScannedHome, *words: str | bytes) -> launchers.Result:
    return launchers.run(launchers.ours("quarantine"), *words, env={"QMAILHOME": str(home.home)})


def keep(
    home: ScannedHome,
    name: bytes,
    kind: str = "virus",
    sender: bytes = b"a@b",
    recipients: tuple[bytes, ...] = (b"c@d",),
    message: bytes = CLEAN,
) -> None:
    finding = Finding(kind, b"clamdscan", b"Worm.Sober.G")
    quarantined.keep(os.fsencode(home.spool), name, finding, sender, recipients, [message])


def test_the_list_has_a_line_for_each_message_of_each_kind(home: ScannedHome) -> None:
    keep(home, b"one")
    keep(home, b"two", "spam", b"", (b"c@d", b"e@f"))
    assert re.fullmatch(
        rb"one virus %d \d{4}-\d\d-\d\d \d\d:\d\d:\d\d a@b c@d Worm\.Sober\.G\n"
        rb"two spam %d \d{4}-\d\d-\d\d \d\d:\d\d:\d\d <> c@d,e@f Worm\.Sober\.G\n" % (len(CLEAN), len(CLEAN)),
        run(home, "list").out,
    )


def test_a_message_that_goes_while_the_list_is_made_is_just_not_there(
    home: ScannedHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(home, b"one")
    keep(home, b"two")
    seen = quarantined._age

    def released(entry: os.DirEntry[bytes]) -> float:
        if entry.name == b"one":
            os.unlink(entry.path)
        return seen(entry)

    monkeypatch.setattr(quarantined, "_age", released)
    assert {os.path.basename(path) for path in quarantined.all_in(os.fsencode(home.spool))} == {b"one", b"two"}
    assert run(home, "list").out.startswith(b"two ")


def test_nothing_in_a_list_or_shown_message_moves_a_terminal(home: ScannedHome) -> None:
    keep(home, b"evil", sender=EVIL, recipients=(EVIL,), message=b"Subject: \x1b[2J\r\n\n\tx\x07\n")
    listed = run(home, "list").out
    assert listed.count(b"\n") == 1 and not re.search(rb"[^ -~\n]", listed)
    assert run(home, "show", "evil").out == b"Subject: ?[2J?\n\n\tx?\n"
    assert (
        run(home, "show", "-r", "evil").out == run(home, "-r", "show", "evil").out == b"Subject: \x1b[2J\r\n\n\tx\x07\n"
    )


def test_a_released_message_goes_to_its_own_recipients_as_it_was_received_and_is_gone(home: ScannedHome) -> None:
    keep(home, b"one", sender=EVIL, recipients=(EVIL, b"c@d"))
    assert run(home, "release", "one").out.startswith(b"one released, qp ")
    assert home.queued() == [(b"F%b\0T%b\0Tc@d\0" % (EVIL, EVIL), CLEAN)]
    assert home.quarantined() == []


def test_a_message_can_be_released_to_somebody_else(home: ScannedHome) -> None:
    keep(home, b"one")
    assert run(home, "release", "one", "admin@x", "other@x").code == 0
    assert home.queued() == [(b"Fa@b\0Tadmin@x\0Tother@x\0", CLEAN)]


def test_a_message_that_the_queue_does_not_take_stays(home: ScannedHome) -> None:
    keep(home, b"one")
    os.rmdir(home.home / "queue/pid")
    refused = run(home, "release", "one")
    assert (refused.code, refused.err) == (
        111,
        b"quarantine: fatal: one stays: qq trouble creating files in queue (#4.3.0)\n",
    )
    assert len(home.quarantined()) == 1


def test_delete_removes_all_or_nothing(home: ScannedHome) -> None:
    keep(home, b"one")
    keep(home, b"two", "policy")
    assert run(home, "delete", "one", "three", "two") == launchers.Result(
        100, b"", b"quarantine: fatal: three: not in quarantine\n"
    )
    assert len(home.quarantined()) == 2
    assert run(home, "delete", "one", "two").code == 0
    assert home.quarantined() == []


@pytest.mark.parametrize("name", ["../new/one", "/etc/passwd", "", ".", "x\x1b[2J"])
def test_a_name_leads_nowhere_else(home: ScannedHome, name: str) -> None:
    keep(home, b"one")
    for command in ("show", "release", "delete"):
        done = run(home, command, name)
        assert done.code == 100 and b"not in quarantine" in done.err and b"\x1b" not in done.err


def test_a_file_that_is_none_of_ours_is_named_and_hides_no_other(home: ScannedHome) -> None:
    keep(home, b"one")
    for name, text in (("x", b"Subject: hi\n\n"), ("y", b"")):
        (home.spool / "quarantine/viruses/new" / name).write_bytes(text)
    (home.spool / "quarantine/viruses/new/z").symlink_to("/etc/passwd")
    done = run(home, "list")
    assert done.code == 111 and done.out.startswith(b"one ") and done.err.count(b"warning: ") == 3


@pytest.mark.parametrize(
    "words", [(), ("burn",), ("list", "x"), ("show",), ("show", "a", "b"), ("release",), ("-r", "list"), ("delete",)]
)
def test_what_makes_no_sense_is_usage(home: ScannedHome, words: tuple[str, ...]) -> None:
    done = run(home, *words)
    assert done.code == 100 and done.err.startswith(b"quarantine: usage: ")


@pytest.mark.parametrize("address", [b"", b"a@b", bytes(range(1, 256)), b"%", b"a,b", b"%41"])
def test_an_address_of_any_bytes_comes_back_as_it_was(address: bytes) -> None:
    word = keeping.escaped(address)
    assert keeping.unescaped(word) == address
    assert not re.search(rb"[^!-~]|,", word)
