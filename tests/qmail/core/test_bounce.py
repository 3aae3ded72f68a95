"""The text of failure notices.  Expected values: spec qmail-queue 7.10 and rows 12, 21 of 12.4."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmail.core.bounce import Notice, addressee, paragraph
from qmail.core.control import Control
from qmail.core.settings import Settings
from tests.support.instance import make_instance


@pytest.mark.parametrize(
    ("recipient", "report", "text"),
    [
        (b"a@b", b"no\n", b"<a@b>:\nno\n\n"),
        (b"a@b", b"no", b"<a@b>:\nno\n\n"),
        (b"a@b", b"", b"<a@b>:\n\n"),
        (b"a\nb@c", b"x", b"<a_b@c>:\nx\n\n"),
        (b"a@b", b"a\n\n\nb", b"<a@b>:\na\n//b\n\n"),
        (b"a@b", b"para one\n\n\npara two\n\nGiving up.\n", b"<a@b>:\npara one\n//para two\n/Giving up.\n\n"),
        (b"a@b", b"\nfirst\n", b"<a@b>:\n/first\n\n"),
        (b"a@b", b"x\n\n", b"<a@b>:\nx\n\n\n"),
        (b"a@b", b"x\n\n\n", b"<a@b>:\nx\n/\n\n"),
        (b"a@b", b"\n", b"<a@b>:\n\n\n"),
    ],
)
def test_a_paragraph_holds_no_empty_line_but_its_last(recipient: bytes, report: bytes, text: bytes) -> None:
    assert paragraph(recipient, report) == text


@pytest.mark.parametrize(
    ("sender", "told"),
    [(b"a@b", b"a@b"), (b"own-@h-@[]", b"own-@h"), (b"#@[]", b"#@[]"), (b"", b""), (b"-@[]", b"")],
)
def test_the_verp_mark_is_taken_off_before_bouncing(sender: bytes, told: bytes) -> None:
    assert addressee(sender) == told


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = make_instance(tmp_path, bouncehost="b.example", bouncefrom="postmaster daemon", doublebounceto="db")
    return Settings(Control(bytes(home / "control")))


def test_a_sender_is_told_in_so_many_words(settings: Settings) -> None:
    notice = Notice(b"a b@c.example", settings)
    assert (notice.sender, notice.recipient) == (b"", b"a b@c.example")
    assert notice.head(1795420500) == (
        b"Date: 23 Nov 2026 07:55:00 -0000\n"
        b'From: "postmaster daemon"@b.example\nTo: "a b"@c.example\nSubject: failure notice\n\n'
        b"Hi. This is the qmail-send program at b.example.\n"
        b"I'm afraid I wasn't able to deliver your message to the following addresses.\n"
        b"This is a permanent error; I've given up. Sorry it didn't work out.\n\n"
    )
    assert notice.tail() == b'--- Below this line is a copy of the message.\n\nReturn-Path: <"a b"@c.example>\n'


def test_a_bounced_bounce_goes_to_the_postmaster_in_one_sentence(settings: Settings) -> None:
    notice = Notice(b"", settings)
    assert (notice.sender, notice.recipient) == (b"#@[]", b"db@probe.example.org")
    assert notice.head(0).endswith(
        b"To: db@probe.example.org\nSubject: failure notice\n\nHi. This is the qmail-send program at b.example.\n"
        b"I tried to deliver a bounce message to this address, but the bounce bounced!\n\n"
    )
    assert notice.tail() == b"--- Below this line is the original bounce.\n\nReturn-Path: <>\n"


def test_settings_default_to_me_and_to_the_names_of_the_files(tmp_path: Path) -> None:
    home = make_instance(tmp_path, me="me.example", locals="")
    settings = Settings(Control(bytes(home / "control")))
    assert (settings.lifetime, settings.concurrency) == (604800, (10, 20))
    assert settings.doublebounceto == b"postmaster@me.example"
    assert settings.routes.rewrite(b"x") == (1, b"x@me.example")
    (home / "control" / "me").unlink()
    settings = Settings(Control(bytes(home / "control")))
    assert settings.bouncehost == b"bouncehost"
    assert settings.doublebounceto == b"postmaster@doublebouncehost"
    assert settings.routes.envnoathost == b"envnoathost"
