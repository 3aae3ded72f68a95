"""What the specification's probes of fastforward 0.51 and dot-forward 0.71 say, without the originals."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qmail.core import forwardtable
from qmail.core.control import Control
from qmail.core.defaultnames import DefaultNames
from qmail.forwarding import newaliases, newinclude, setforward, setmaillist
from tests.support.dotcommand import MESSAGE, VARIABLES, Delivery, delivery
from tests.support.launchers import Result, ours, run
from ucspi.core.failure import Failure

__all__ = ["delivery"]


@pytest.fixture
def names(tmp_path: Path) -> DefaultNames:
    (tmp_path / "me").write_text("mail.aaaa.hu\n")
    return DefaultNames(Control(os.fsencode(tmp_path)))


def at(*users: bytes) -> list[bytes]:
    return [b"&%b@mail.aaaa.hu" % user for user in users]


@pytest.mark.parametrize(
    ("line", "target", "commands"),
    [
        (b"root: alice, bill\n", b"root@", at(b"bill", b"alice")),
        (b"MAILER-DAEMON: postmaster\n", b"mailer-daemon@", at(b"postmaster")),
        (b"@virt.dom: joe\n", b"@virt.dom", at(b"joe")),
        (b"billing@virt.dom: joe,\n fred\n", b"billing@virt.dom", at(b"fred", b"joe")),
        (b"weather: \"|weather-server -x 'a b'\"\n", b"weather@", [b"!weather-server -x 'a b'"]),
        (b"list: :include:/etc/staff-list, x@x.example\n", b"list@", [b"/etc/staff-list.bin", b"&x@x.example"]),
        (b"rel: : include : staff\n", b"rel@", [b"./staff.bin"]),
        (b"plus: u@h+\n", b"plus@", [b"&u@h.mail.aaaa.hu"]),
        (b'fred: "spaced out mailbox"@heaven.af.mil\n', b"fred@", [b"&spaced out mailbox@heaven.af.mil"]),
        (b'p: "|a,b;c:d@e"\n', b"p@", [b"!a,b;c:d@e"]),
        (b"slashat: /file@host.dom\n", b"slashat@", [b"&/file@host.dom"]),
        (b"x: grp: a, b;\n", b"x@", at(b"b", b"a", b"grp")),
        (b"a: b) c\n", b"a@", at(b"c", b"b)")),
        (b'x: a, b, "|p", c\n', b"x@", [b"!p", *at(b"c", b"b", b"a")]),
    ],
)
def test_a_line_of_aliases_is_read_from_its_right_end(
    names: DefaultNames, line: bytes, target: bytes, commands: list[bytes]
) -> None:
    assert list(newaliases.records(line, names)) == [(b":" + target, forwardtable.pack(commands))]


def test_an_owner_gets_a_record_of_its_own(names: DefaultNames) -> None:
    found = list(newaliases.records(b"owner-list: listadm\n", names))
    assert found == [(b"?list@", b"owner-list@mail.aaaa.hu"), (b":owner-list@", b"&listadm@mail.aaaa.hu\0")]


@pytest.mark.parametrize(
    ("line", "code", "complaint"),
    [
        (b"x:\n", 111, "unable to parse this line: x:\n"),
        (b"y\n", 111, "unable to parse this line: y\n"),
        (b'x: "|cmd\n', 111, 'unable to parse this line: x: "|cmd\n'),
        (b"x: <>\n", 111, "empty recipient addresses not permitted"),
        (b"list: :include:\n", 111, "empty :include: filenames not permitted"),
        (b"x: /var/mail/x\n", 111, "file delivery /var/mail/x not supported"),
        (b"x: " + b"y" * 788 + b"\n", 100, "addresses over 800 bytes are not permitted"),
    ],
)
def test_a_line_that_is_no_alias_is_refused(names: DefaultNames, line: bytes, code: int, complaint: str) -> None:
    with pytest.raises(Failure) as refused:
        list(newaliases.records(line, names))
    assert (refused.value.exitcode, str(refused.value)) == (code, complaint)


def test_an_included_list_is_read_line_by_line(names: DefaultNames) -> None:
    text = b"# staff\nann@x.example, ben\n\n:include:/etc/sub-list.bin\nCarl <carl@y.example>\n"
    found = list(newinclude.entries(text, names))
    assert found == [b"&ben@mail.aaaa.hu", b"&ann@x.example", b"/etc/sub-list.bin", b"&carl@y.example"]


def test_a_text_list_is_packed_as_it_stands() -> None:
    text = b"# c\ngod@heaven.af.mil \n&x@y\n/abs/list.bin\n./rel.bin\n\n:weird\n"
    assert setmaillist.packed(text) == b"&god@heaven.af.mil\0&x@y\0/abs/list.bin\0./rel.bin\0&:weird\0"


def test_instructions_become_records() -> None:
    text = b"sos@heaven.af.mil: ?owner-sos@heaven.af.mil, /etc/staff-list.bin; Dew@: |cat\\ >\\ f;"
    assert list(setforward.records(text)) == [
        (b"?sos@heaven.af.mil", b"owner-sos@heaven.af.mil"),
        (b":sos@heaven.af.mil", b"/etc/staff-list.bin\0"),
        (b":dew@", b"|cat > f\0"),
    ]


def make_table(delivery: Delivery, text: bytes) -> bytes:
    made = run(ours("setforward"), "c", "t", stdin=text, cwd=delivery.path)
    assert made == Result(0, b"", b"")
    return (delivery.path / "c").read_bytes()


def test_a_table_begins_with_its_records_and_can_be_printed(delivery: Delivery) -> None:
    table = make_table(delivery, b"root @yp.to: god@heaven.af.mil;")
    assert table[2048:2064] == b"\x0b\0\0\0\x13\0\0\0:root@yp"
    printed = run(ours("printforward"), stdin=table)
    assert printed == Result(0, b"root@yp.to:\n, &god@heaven.af.mil\n;\n", b"")
    assert run(ours("printforward"), stdin=table[:2060]).err == b"printmaillist: fatal: bad database format\n"
    assert run(ours("printmaillist"), stdin=b"&a@b\0./l\0") == Result(0, b"&a@b\n./l\n", b"")


def test_a_message_is_forwarded_to_whom_the_table_names(delivery: Delivery) -> None:
    make_table(delivery, b"x@h.example: ?own@h.example, a@a.example, |exit\\ 0, b@b.example;")
    delivery.env["RECIPIENT"] = "X@h.example"
    assert delivery.run("fastforward", "-p", "c") == Result(99, b"", b"fastforward: qp N\n")
    sent = VARIABLES["DTLINE"].encode() + MESSAGE, b"Fown@h.example\0Ta@a.example\0Tb@b.example\0\0"
    assert delivery.queued() == sent
    delivery.env["RECIPIENT"] = "y@h.example"
    assert delivery.run("fastforward", "c") == Result(100, b"", b"Sorry, no mailbox here by that name. (#5.1.1)\n")
    assert delivery.run("fastforward", "-p", "c") == Result(0, b"", b"")
    assert delivery.queued() is None


@pytest.mark.parametrize("damage", [b"", b"x", b"\xff" * 2048, b"\xff" * 4096])
def test_a_damaged_table_is_a_temporary_failure(delivery: Delivery, damage: bytes) -> None:
    (delivery.path / "c").write_bytes(damage)
    delivery.env["RECIPIENT"] = "x@h.example"
    shown = delivery.run("fastforward", "c")
    assert (shown.code, shown.out) == (111, b"")
    assert shown.err.startswith(b"fastforward: fatal: unable to read c: ")


def test_a_table_that_names_its_own_lists_again_ends(delivery: Delivery) -> None:
    make_table(delivery, b"x@h.example: ./l, x@h.example; y@h.example: x@h.example;")
    (delivery.path / "l").write_bytes(b"./l\0&y@h.example\0&z@z.example\0")
    delivery.env["RECIPIENT"] = "x@h.example"
    shown = delivery.run("fastforward", "-n", "c")
    assert shown == Result(0, b"", b"from <s@s.example>\nto <z@z.example>\n")


def test_a_forward_file_goes_on_only_for_the_users_own_address(delivery: Delivery) -> None:
    (delivery.path / "control").mkdir()
    (delivery.path / "control/me").write_text("mail.aaaa.hu\n")
    forward = delivery.path / ".forward"
    forward.write_bytes(b"a@x.example, \\joe\n")
    assert delivery.run("dot-forward", ".forward") == Result(0, b"", b"dot-forward: info: qp N\n")
    sent = VARIABLES["DTLINE"].encode() + MESSAGE, b"Fnew@s.example\0Ta@x.example\0\0"
    assert delivery.queued() == sent
    forward.write_bytes(b'"|cat"\n')
    lines = "".join(VARIABLES[name] for name in ("UFLINE", "RPLINE", "DTLINE")).encode()
    assert delivery.run("dot-forward", ".forward") == Result(99, lines + MESSAGE, b"")
    forward.write_bytes(b'a@x.example, "|exit 100"\n')
    assert delivery.run("dot-forward", ".forward") == Result(100, b"", b"")
    assert delivery.queued() is None
    forward.unlink()
    assert delivery.run("dot-forward", ".forward", "other") == Result(0, b"", b"")
