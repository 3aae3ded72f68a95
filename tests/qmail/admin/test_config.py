"""qmail-config and qmail-config-fast: the first control files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import launchers
from tests.support.nameserver import NameServer, zone
from tests.support.network import own_address

WARNING = "Make sure to change rcpthosts if you add hosts to locals or virtualdomains!\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "control").mkdir()
    return tmp_path


def controls(home: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (home / "control").iterdir()}


def run(name: str, *args: str, home: Path, env: dict[str, str] | None = None) -> launchers.Result:
    return launchers.run(launchers.ours(name), *args, env={"QMAILHOME": str(home), **(env or {})})


def test_config_fast_writes_what_notqmails_writes(home: Path) -> None:
    # Both lines of output and files: spec qmail-smtp.md, probe 80, seen on notqmail's config-fast.
    done = run("qmail-config-fast", "Mail.Sub.Example.ORG", home=home)
    assert done.code == 0 and done.err == b""
    assert done.out.decode() == (
        "Your fully qualified host name is Mail.Sub.Example.ORG.\n"
        "Putting Mail.Sub.Example.ORG into control/me...\n"
        "Putting Sub.Example.ORG into control/defaultdomain...\n"
        "Putting Example.ORG into control/plusdomain...\n"
        "Putting Mail.Sub.Example.ORG into control/locals...\n"
        "Putting Mail.Sub.Example.ORG into control/rcpthosts...\n"
        "Now qmail will refuse to accept SMTP messages except to Mail.Sub.Example.ORG.\n" + WARNING
    )
    assert run("qmail-config-fast", "example.org", home=home).code == 0
    assert controls(home) == {
        "me": "example.org\n",
        "defaultdomain": "example.org\n",
        "plusdomain": "example.org\n",
        "locals": "Mail.Sub.Example.ORG\nexample.org\n",
        "rcpthosts": "Mail.Sub.Example.ORG\nexample.org\n",
    }
    assert all(file.stat().st_mode & 0o777 == 0o644 for file in (home / "control").iterdir())


def test_config_fast_adds_a_line_of_its_own_to_a_file_without_newline(home: Path) -> None:
    (home / "control/locals").write_text("a.example")
    run("qmail-config-fast", "b.example", home=home)
    assert controls(home)["locals"] == "a.example\nb.example\n"


@pytest.mark.parametrize("word", ["", "two words", "two\nlines", "#none", "-x", "\u00e9\x7f"])
def test_config_fast_refuses_a_word_that_is_no_name(home: Path, word: str) -> None:
    assert run("qmail-config-fast", word, home=home).code == 100
    assert controls(home) == {}


def test_config_fast_does_not_stop_half_way_if_nobody_listens(home: Path) -> None:
    """As in `qmail-config-fast NAME | head -1`: a host with locals and without rcpthosts is an open relay."""
    reader, writer = os.pipe()
    os.close(reader)
    env = {"PATH": "/usr/bin:/bin", "QMAILHOME": str(home)}
    done = subprocess.run([launchers.ours("qmail-config-fast"), "a.b.example"], stdout=writer, env=env)
    os.close(writer)
    assert done.returncode == 0
    assert sorted(controls(home)) == ["defaultdomain", "locals", "me", "plusdomain", "rcpthosts"]


def test_config_fast_says_what_it_cannot_write(tmp_path: Path) -> None:
    done = run("qmail-config-fast", "a.example", home=tmp_path)
    assert done.code == 111
    assert done.err == b"qmail-config-fast: fatal: %b/control/me.new: file does not exist\n" % bytes(tmp_path)


@pytest.fixture
def dns_address() -> str:
    if os.geteuid() != 0:
        pytest.skip("needs root: a name server listens on port 53")
    return own_address()


def test_config_makes_local_every_name_of_every_address(home: Path, dns_address: str) -> None:
    host = os.uname().nodename.lower()
    records = {
        (host, "A"): ["192.0.2.7"],
        ("7.2.0.192.in-addr.arpa", "PTR"): ["Mail.Example.ORG."],
        ("mail.example.org", "A"): ["192.0.2.7", "192.0.2.8"],
        ("8.2.0.192.in-addr.arpa", "PTR"): ["other.example.org."],
    }
    with NameServer(zone(records), ip=dns_address, port=53):
        done = run("qmail-config", home=home, env={"DNSCACHEIP": dns_address})
    assert done.code == 0 and done.err == b""
    lines = done.out.decode().splitlines(keepends=True)
    assert lines[:5] == [
        f"Your hostname is {host}.\n",
        "Your host's fully qualified name in DNS is mail.example.org.\n",
        "Putting mail.example.org into control/me...\n",
        "Putting example.org into control/defaultdomain...\n",
        "Putting example.org into control/plusdomain...\n",
    ]
    assert "0.0.0.0: PTR lookup failed. I assume this address has no DNS name.\n" in lines
    assert "192.0.2.7: Adding mail.example.org to control/locals...\n" in lines
    assert lines[-1] == WARNING
    written = controls(home)
    assert written["locals"] == written["rcpthosts"] == "mail.example.org\nother.example.org\n"
    assert (written["me"], written["defaultdomain"]) == ("mail.example.org\n", "example.org\n")


def test_config_writes_nothing_where_dns_does_not_know_the_host(home: Path, dns_address: str) -> None:
    with NameServer(zone({}), ip=dns_address, port=53):
        done = run("qmail-config", home=home, env={"DNSCACHEIP": dns_address})
    assert done.code == 0
    assert done.out.endswith(
        b"Sorry, I couldn't find your host's canonical name in DNS.\nYou will have to set up control/me yourself.\n"
    )
    assert controls(home) == {}
