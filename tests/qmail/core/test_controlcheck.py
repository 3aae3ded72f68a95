"""What qmail-showctl --check finds wrong with control files."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmail.admin import showctl
from qmail.core.controlcheck import KNOWN, complaints
from tests.support import launchers

GOOD = {
    b"me": b"mail.example.org\n",
    b"locals": b"mail.example.org\nexample.org\n",
    b"rcpthosts": b"# ours\nmail.example.org\n.example.org\nexample.org\nvirtual.example\n",
    b"virtualdomains": b"virtual.example:bela\nanna@elsewhere.example:anna\n",
    b"queuelifetime": b"604800\n",
    b"smtproutes": b":relay.example\n",
    b"concurrencyincoming": b"20",
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({b"rcpthost": b"x\n"}, ["rcpthost: no program reads this file; is rcpthosts meant?"]),
        ({b"locals~": b"x\n"}, ["locals~: no program reads this file; a copy of locals? keep it elsewhere"]),
        ({b"locals.bak": b"x\n"}, ["locals.bak: no program reads this file; a copy of locals? keep it elsewhere"]),
        ({b"quite-another": b""}, ["quite-another: no program reads this file"]),
        ({b".x": b""}, [".x: no program reads this file"]),
        ({b"barelf": b"allow\n", b"outgoingip": b"192.0.2.1\n", b"outgoingip6": b"::\n"}, []),
        ({b"barelf": b"yes\n"}, ["barelf:1: is none of reject, normalize, allow: it means reject"]),
        ({b"outgoingip": b"2001:db8::1"}, ["outgoingip:1: is no address of that kind: all mail to other hosts waits"]),
        ({b"outgoingip6": b"mail\n"}, ["outgoingip6:1: is no address of that kind: all mail to other hosts waits"]),
        ({b"badmailfrom": b"@bad.example\nx@y\n"}, []),
        (
            {b"badmailfrom": b"bad.example\n"},
            ["badmailfrom:1: is no sender; write user@host, or @host for all of a host"],
        ),
        ({b"smtproutes": b"a:\nb:[2001:db8::1]:587,c\nd:/4\n"}, []),
        *(
            (
                {b"smtproutes": b"a:%b\n" % relay},
                [
                    "smtproutes:1: has a relay with port 0, where nobody is;"
                    " write host:port, and an IPv6 address as [address]"
                ],
            )
            for relay in (b"2001:db8::1", b"relay:smtp", b"relay:")
        ),
        (
            {b"locals": b"mail.example.org \nexample.org\n"},
            ["locals:1: ends in blanks; qmail ignores them, scripts that read the file do not: remove them"],
        ),
        (
            {b"locals": b"mail.example.org\n\texample.org\n"},
            [
                "locals:2: begins with a blank, which is taken as part of the name; remove it",
                "rcpthosts: \texample.org is not in it: its mail is refused when it comes by SMTP",
            ],
        ),
        (
            {b"virtualdomains": b"virtual.example:bela\r\n"},
            [
                r"virtualdomains:1: has a carriage return, which is taken as part of the name; remove it: sed -i 's/\r$//'"
            ],
        ),
        (
            {b"virtualdomains": b"example.org:bela\n"},
            ["virtualdomains: example.org is in locals, too, which is asked first: this line does nothing"],
        ),
        (
            {b"virtualdomains": b"virtual.example\n"},
            ["virtualdomains:1: has no colon and is ignored; write it as name:value"],
        ),
        (
            {b"rcpthosts": None},
            ["rcpthosts: does not exist: an open relay, anybody may send anywhere through this host; list its hosts"],
        ),
        (
            {b"percenthack": b"example.org\n"},
            ["percenthack: example.org is in rcpthosts: an open relay for user%host@example.org; remove it"],
        ),
        (
            {b"locals": b"mail.example.org\nother.example\n"},
            ["rcpthosts: other.example is not in it: its mail is refused when it comes by SMTP"],
        ),
        ({b"locals": None, b"me": b"host.example.org\n"}, []),
        ({b"queuelifetime": b"a week\n"}, ["queuelifetime: is no number: it counts as not there"]),
        ({b"databytes": b"10M\n"}, ["databytes: is no number: what follows the digits is ignored"]),
        ({b"me": b"mail.example.org\nsecond\n"}, ["me: only the first line counts; remove the others"]),
        ({b"me": b"mail\n"}, ["me: has no dot; other hosts want a name that is in DNS, as in mail.example.org"]),
        (
            {b"me": None},
            ["me: does not exist: qmail-send, qmail-smtpd and qmail-remote do not start; qmail-config-fast writes it"],
        ),
        (
            {b"helohost": b""},
            ["helohost: is empty, which is not the same as not there; remove it, or write what is meant"],
        ),
        (
            {b"morercpthosts": b"*.many.example\nwho@many.example\n"},
            [
                "morercpthosts:1: * has no meaning; .example.org is every host in example.org",
                "morercpthosts:2: is an address; only hosts belong here",
                "morercpthosts: is not compiled and not used; run qmail-newmrh",
            ],
        ),
        (
            {b"locals": b"mail.example.org\n.example.org\n"},
            ["locals:2: .host is not understood in this file; name each host"],
        ),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(changes: dict[bytes, bytes | None], expected: list[str]) -> None:
    files = {name: data for name, data in {**GOOD, **changes}.items() if data is not None}
    assert [line.decode() for line in complaints(files)] == expected


def test_every_file_that_showctl_shows_is_known_and_every_known_file_is_in_the_manual() -> None:
    assert {name for name, *_ in showctl.FILES} <= KNOWN.keys()
    page = (launchers.ROOT / "man/man5/qmail-control.5").read_text()
    for name in KNOWN:
        assert f"\n.It Pa {name.decode()}\n" in page or f"control/{name.decode()}\n" in page, name


def test_the_program_prints_them_and_exits_1(tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    (tmp_path / "queue").mkdir()
    for name, data in GOOD.items():
        (tmp_path / "control" / name.decode()).write_bytes(data)
    env = {"QMAILHOME": str(tmp_path)}
    assert launchers.run(launchers.ours("qmail-showctl"), "--check", env=env) == launchers.Result(0, b"", b"")
    (tmp_path / "control/me").write_bytes(b"mail\x1b[2J.example.org\r\n")
    done = launchers.run(launchers.ours("qmail-showctl"), "--check", env=env)
    assert done.code == 1 and done.out.startswith(b"control/me:1: has a carriage return") and b"\x1b" not in done.out
    assert launchers.run(launchers.ours("qmail-showctl"), "--check", env={"QMAILHOME": str(tmp_path / "x")}).code == 111
    assert launchers.run(launchers.ours("qmail-showctl"), "--chekc", env=env).code == 100
