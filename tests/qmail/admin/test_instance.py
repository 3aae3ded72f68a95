"""qmail-instance: what it makes, what it leaves alone, and what it says when it cannot."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from qmail.core import passwords
from tests.support import launchers

PROGRAM = "qmail-instance"
USAGE = (
    b"qmail-instance: usage: qmail-instance"
    b" [ -s address:port ] [ -p address:port ] [ -u mailbox ] [ -d domain ] directory\n"
)


def make(home: Path, *options: str) -> launchers.Result:
    return launchers.run(launchers.ours(PROGRAM), *options, str(home))


def content(home: Path) -> dict[str, bytes]:
    """Every file but `environment`, which is written anew."""
    files = (path for path in home.rglob("*") if path.is_file() and path.name != "environment")
    return {str(path.relative_to(home)): path.read_bytes() for path in files}


def environment(home: Path) -> dict[str, str]:
    """What a run script has, once it has read the file."""
    script = f'. "{home}/environment" && env -0'.replace("$", "\\$")
    out = subprocess.run(["/bin/sh", "-c", script], env={}, capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in out.rstrip("\0").split("\0"))


def test_an_instance_has_everything_a_mail_host_needs(tmp_path: Path) -> None:
    home = tmp_path / "i"
    assert make(home).code == 0
    control = {file.name: file.read_text() for file in (home / "control").iterdir()}
    assert control["me"] == control["rcpthosts"] == "localhost\n"
    assert control["locals"].startswith("localhost\n")
    assert control["defaultdelivery"] == "./Maildir/\n"
    assert control["concurrencyincoming"].strip().isdigit()
    assert sorted(os.listdir(home / "home/demo/Maildir")) == ["cur", "new", "tmp"]
    assert sorted(os.listdir(home / "service")) == ["pop3d", "qmail", "smtpd"]
    for service in (home / "service").iterdir():
        assert stat.S_IMODE((service / "run").stat().st_mode) == 0o755
        assert subprocess.run(["/bin/sh", "-n", str(service / "run")]).returncode == 0
    assert (home / "users/cdb").exists() and (home / "tcp.smtp.cdb").exists()
    check = launchers.run(launchers.ours("tcprulescheck"), str(home / "tcp.smtp.cdb"), env={"TCPREMOTEIP": "127.0.0.1"})
    assert b"RELAYCLIENT" in check.out


def test_the_password_is_for_its_owners_eyes_and_checkpassword_knows_its_hash_alone(tmp_path: Path) -> None:
    home = tmp_path / "i"
    make(home)
    user, password = (home / "password").read_bytes().split()
    assert user == b"demo" and len(password) >= 16
    for secret in ("password", "users/passwd"):
        assert stat.S_IMODE((home / secret).stat().st_mode) == 0o600
    for name, data in content(home).items():
        assert name == "password" or password not in data
    (entry,) = passwords.unpack((home / "users/passwd").read_bytes())
    assert entry[0] == user and entry[2] == os.fsencode(home / "home/demo")
    assert passwords.crypt(password, entry[1]) == entry[1]


def test_no_two_instances_have_the_same_password(tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b")
    assert (tmp_path / "a/password").read_bytes() != (tmp_path / "b/password").read_bytes()


def test_what_is_there_stays_and_the_places_are_written_anew(tmp_path: Path) -> None:
    home = tmp_path / "i"
    make(home)
    (home / "control/me").write_text("mine.example\n")
    (home / "service/smtpd/run").write_text("#!/bin/sh\n# mine\n")
    (home / "home/demo/Maildir/new/1.x").write_text("mail\n")
    (home / "tcp.smtp.cdb").unlink()
    before = content(home)
    assert make(home, "-s", "127.0.0.2:3525", "-p", "[::1]:3110").code == 0
    after = content(home)
    assert after.pop("tcp.smtp.cdb")
    assert after == before
    env = environment(home)
    assert (env["SMTP_ADDRESS"], env["SMTP_PORT"]) == ("127.0.0.2", "3525")
    assert (env["POP3_ADDRESS"], env["POP3_PORT"]) == ("::1", "3110")


def test_what_got_lost_is_made_again(tmp_path: Path) -> None:
    home = tmp_path / "i"
    make(home)
    (home / "queue/lock/trigger").unlink()
    (home / "queue/mess/7").rmdir()
    (home / "control/locals").unlink()
    assert make(home).code == 0
    assert stat.S_ISFIFO((home / "queue/lock/trigger").stat().st_mode)
    assert (home / "queue/mess/7").is_dir() and (home / "control/locals").exists()


@pytest.mark.parametrize("name", ["with space", "quote'd", "dollar$HOME", "ünï", "semi;colon&"])
def test_any_directory_name_will_do(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    assert make(home).code == 0
    link = tmp_path / "link"
    link.symlink_to(home)
    assert environment(link)["QMAILHOME"] == str(home)


def test_a_relative_directory_is_meant_from_here(tmp_path: Path) -> None:
    assert launchers.run(launchers.ours(PROGRAM), "here", cwd=tmp_path).code == 0
    assert environment(tmp_path / "here")["QMAILHOME"] == str(tmp_path / "here")


def test_mailbox_and_domain_can_be_chosen(tmp_path: Path) -> None:
    home = tmp_path / "i"
    assert make(home, "-u", "anna", "-d", "mail.example.org").code == 0
    assert (home / "home/anna/Maildir/new").is_dir()
    assert (home / "control/locals").read_text() == "mail.example.org\n"
    assert (home / "users/assign").read_text().startswith("=anna:anna:")


@pytest.mark.parametrize(
    "words",
    [[], ["a", "b"], ["-s", "nowhere", "a"], ["-s", "1.2.3.4:", "a"], ["-p", ":25", "a"], ["-p", "1.2.3.4:pop3", "a"]],
)
def test_bad_words_are_a_usage_error_and_make_nothing(tmp_path: Path, words: list[str]) -> None:
    done = launchers.run(launchers.ours(PROGRAM), *words, cwd=tmp_path)
    assert (done.code, done.out, done.err) == (100, b"", USAGE)
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = make(tmp_path / "file" / "i")
    assert (done.code, done.out) == (111, b"")
    last = done.err.splitlines(keepends=True)[-1]
    assert last.startswith(f"qmail-instance: fatal: {tmp_path}/file/i".encode())
    assert last.endswith(b": not a directory\n")
