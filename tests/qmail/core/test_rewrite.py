"""Where recipients go.  Expected values: spec qmail-queue 7.5 and rows 14-16, 19 of 12.4, seen on the original."""

from __future__ import annotations

import pytest

from qmail.core.control import keymap
from qmail.core.logline import LOCAL, REMOTE
from qmail.core.rewrite import Routes, verp

VIRTUAL = [
    b"virt.example:tess-v",
    b".wild.example:tess-w",
    b"user@special.example:tess-s",
    b"exc.wild.example:",
    b"dup.example:tess-d1",
    b"dup.example:tess-d2",
    b"nocolon.example",
]
ROUTES = Routes(
    b"noat.example",
    [b"Probe.example.org", b"second.local", b"both.example"],
    [b"PH.example", b"probe.example.org"],
    keymap([*VIRTUAL, b"both.example:never"]),
)


@pytest.mark.parametrize(
    ("recipient", "channel", "address"),
    [
        (b"plain", REMOTE, b"plain@noat.example"),
        (b"", REMOTE, b"@noat.example"),
        (b"Bela@PROBE.example.ORG", LOCAL, b"Bela@PROBE.example.ORG"),
        (b"@probe.example.org", LOCAL, b"@probe.example.org"),
        (b"a@b@probe.example.org", LOCAL, b"a@b@probe.example.org"),
        (b"x@both.example", LOCAL, b"x@both.example"),
        (b"x@sub.probe.example.org", REMOTE, b"x@sub.probe.example.org"),
        (b"info@virt.example", LOCAL, b"tess-v-info@virt.example"),
        (b"i@a.wild.example", LOCAL, b"tess-w-i@a.wild.example"),
        (b"i@a.b.wild.example", LOCAL, b"tess-w-i@a.b.wild.example"),
        (b"i@exc.wild.example", REMOTE, b"i@exc.wild.example"),
        (b"i@a.exc.wild.example", LOCAL, b"tess-w-i@a.exc.wild.example"),
        (b"i@wild.example", REMOTE, b"i@wild.example"),
        (b"other@special.example", REMOTE, b"other@special.example"),
        (b"USER@Special.example", LOCAL, b"tess-s-USER@Special.example"),
        (b"i@nocolon.example", REMOTE, b"i@nocolon.example"),
        (b"i@DUP.example", LOCAL, b"tess-d2-i@DUP.example"),
        (b"p%q%remote.example@ph.example", REMOTE, b"p%q@remote.example"),
        (b"p%second.local@ph.example", LOCAL, b"p@second.local"),
        (b"p%virt.example@ph.example", LOCAL, b"tess-v-p@virt.example"),
        (b"nopercent@ph.example", REMOTE, b"nopercent@ph.example"),
        (b"p%r.example%ph.example@probe.example.org", REMOTE, b"p@r.example"),
        (b"%@ph.example", REMOTE, b"@"),
    ],
)
def test_a_recipient_goes_where_the_tables_say(recipient: bytes, channel: int, address: bytes) -> None:
    assert ROUTES.rewrite(recipient) == (channel, address)


def test_the_empty_key_of_virtualdomains_catches_what_nothing_else_does() -> None:
    routes = Routes(b"x", [b"here"], (), keymap([b":all", b"out.example:", b"me@in.example:mine"]))
    assert routes.rewrite(b"a@here") == (LOCAL, b"a@here")
    assert routes.rewrite(b"a@b.c") == (LOCAL, b"all-a@b.c")
    assert routes.rewrite(b"a@out.example") == (REMOTE, b"a@out.example")
    assert routes.rewrite(b"a@") == (LOCAL, b"all-a@")
    assert routes.rewrite(b"Me@IN.example") == (LOCAL, b"mine-Me@IN.example")


@pytest.mark.parametrize(
    ("recipient", "shown"),
    [
        (b"tess-v-info@virt.example", b"info@virt.example"),
        (b"TESS-v-info@virt.example", b"TESS-v-info@virt.example"),
        (b"tess-v@virt.example", b"tess-v@virt.example"),
        (b"tess-w-i@a.wild.example", b"i@a.wild.example"),
        (b"tess-w-i@exc.wild.example", b"tess-w-i@exc.wild.example"),
        (b"tess-s-user@special.example", b"tess-s-user@special.example"),
        (b"tess-d2-i@DUP.example", b"i@DUP.example"),
        (b"no-at", b"no-at"),
        (b"a@probe.example.org", b"a@probe.example.org"),
    ],
)
def test_a_bounce_shows_the_address_without_the_prefix(recipient: bytes, shown: bytes) -> None:
    assert ROUTES.unprefixed(recipient) == shown


@pytest.mark.parametrize(
    ("sender", "recipient", "expanded"),
    [
        (b"own-@lh.example-@[]", b"v@r.example", b"own-v=r.example@lh.example"),
        (b"own-@lh.example-@[]", b"a@b@r.example", b"own-a@b=r.example@lh.example"),
        (b"own-@lh.example-@[]", b"nohost", b"own-@lh.example-@[]"),
        (b"#@[]", b"v@r.example", b"#@[]"),
        (b"nohost-@[]", b"v@r.example", b"nohost-@[]"),
        (b"-@[]", b"v@r.example", b"-@[]"),
        (b"@-@[]", b"v@r", b"v=r@"),
        (b"", b"v@r.example", b""),
        (b"a@b", b"v@r.example", b"a@b"),
    ],
)
def test_a_verp_sender_carries_the_recipient(sender: bytes, recipient: bytes, expanded: bytes) -> None:
    assert verp(sender, recipient) == expanded
