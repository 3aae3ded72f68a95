"""From which address, and by which name, a sender's mail goes out."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from qmail.core import outgoing
from qmail.core.control import Control

BINDINGS = """\
one.example:127.0.0.5,[::1]:mx.one.example
.one.example:127.0.0.6
six.example:[::1]
name.example::name.example
any.example:0.0.0.0
:127.0.0.7:default.example
"""


def read(tmp_path: Path, sender: bytes, **files: str) -> outgoing.Outgoing:
    for name, text in {"me": "me.example\n", **files}.items():
        (tmp_path / name).write_text(text)
    return outgoing.read(Control(bytes(tmp_path)), sender)


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        (b"a@ONE.example", (b"127.0.0.5", b"::1", b"mx.one.example")),
        (b"a@b.one.example", (b"127.0.0.6", b"2001:db8::9", b"me.example")),
        (b"a@six.example", (b"127.0.0.8", b"::1", b"me.example")),
        (b"a@name.example", (b"127.0.0.8", b"2001:db8::9", b"name.example")),
        (b"a@any.example", (b"", b"2001:db8::9", b"me.example")),
        (b"a@other.example", (b"127.0.0.7", b"2001:db8::9", b"default.example")),
        (b"", (b"127.0.0.7", b"2001:db8::9", b"default.example")),
        (b"nohost", (b"127.0.0.7", b"2001:db8::9", b"default.example")),
    ],
)
def test_the_senders_domain_decides(tmp_path: Path, sender: bytes, expected: tuple[bytes, ...]) -> None:
    found = read(tmp_path, sender, domainbindings=BINDINGS, outgoingip="127.0.0.8\n", outgoingip6="2001:DB8::9\n")
    assert (found.four, found.six, found.helo) == expected


def test_without_the_files_the_system_chooses(tmp_path: Path) -> None:
    found = read(tmp_path, b"a@one.example", outgoingip="0.0.0.0\n", helohost="helo.example\n")
    assert (found.four, found.six, found.helo) == (b"", b"", b"helo.example")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("outgoingip", "nonsense"),
        ("outgoingip", "::1"),
        ("outgoingip6", "127.0.0.1"),
        ("domainbindings", ":[127.0.0.1]"),
        ("domainbindings", ":127.0.0.256"),
    ],
)
def test_what_is_no_address_is_a_temporary_failure_that_names_the_file(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(outgoing.BadAddress, match=rf"^invalid ipaddr in control/{name} \(#4\.3\.0\)$"):
        read(tmp_path, b"", **{name: text})


def test_an_address_that_is_not_ours_is_one_too(tmp_path: Path) -> None:
    found = read(tmp_path, b"", outgoingip="192.0.2.1")
    with socket.socket() as out, pytest.raises(outgoing.BadAddress, match="control/outgoingip "):
        found.bind(out, b"127.0.0.1")


def test_the_socket_gets_the_address_of_its_family(tmp_path: Path) -> None:
    found = read(tmp_path, b"", outgoingip="127.0.0.8")
    with socket.socket() as out:
        found.bind(out, b"127.0.0.1")
        assert out.getsockname()[0] == "127.0.0.8"
        found.bind(out, b"::1")  # no IPv6 address is set: nothing happens
