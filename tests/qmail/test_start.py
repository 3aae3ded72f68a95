"""qmail-start: who is started how, and what it becomes.  Spec qmail-queue 1.1; the parts are scripts that take notes."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support import launchers
from tests.support.classic import CONTROL, ClassicHost
from tests.support.instance import make_instance
from tests.support.server import WAYS

PARTS = ("qmail-lspawn", "qmail-rspawn", "qmail-clean", "qmail-queued", "qmail-send", "noter")
# Notes whatever the process was given, then waits for the end of its descriptor 0 (qmail-send: has none to wait for).
NOTES = """#!/bin/sh
name=${0##*/}
{
    echo "argv $*"
    echo "cwd $(pwd)"
    echo "umask $(umask)"
    echo "uid $(id -u)"
    echo "groups $(id -g) $(id -G)"
    echo "pid $$"
    echo "env $(env | sort | grep -v -e ^PWD= -e ^_= | tr '\\n' ' ')"
} >NOTES/$name.new
for fd in 0 1 2 3 4 5 6 7 8 9; do
    sh -c 'target=$(readlink /proc/$0/fd/$1) && echo "fd$1 $target" >>$2' $$ $fd NOTES/$name.new
done
mv NOTES/$name.new NOTES/$name
case $name in
qmail-send) for part in qmail-lspawn qmail-rspawn qmail-clean qmail-queued; do
        until test -e NOTES/$part; do sleep 0.01; done
    done
    echo "the log is here" >&0 ;;
*) cat >/dev/null ;;
esac
"""
Notes = dict[str, dict[str, str]]


def read(directory: Path) -> Notes:
    found: Notes = {}
    for name in PARTS:
        if (directory / name).exists():
            pairs = (line.partition(" ") for line in (directory / name).read_text().splitlines())
            found[name] = {key: value for key, _, value in pairs}
    return found


def start(
    tmp_path: Path, *words: str, env: dict[str, str] | None = None, missing: str = ""
) -> tuple[int, bytes, Notes]:
    """Run qmail-start to its end; its code, the log, and everybody's notes."""
    home = make_instance(tmp_path)
    programs, notes = tmp_path / "programs", tmp_path / "notes"
    for directory in (programs, notes):
        directory.mkdir()
    for name in PARTS:
        if name != missing:
            (programs / name).write_text(NOTES.replace("NOTES", str(notes)))
            (programs / name).chmod(0o755)
    environment = {"PATH": f"{programs}:/bin:/usr/bin", "QMAILHOME": str(home), **(env or {})}
    done = subprocess.run(
        [launchers.ours("qmail-start"), *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        cwd=tmp_path,
        umask=0o22,
    )
    assert done.stderr == b""
    return done.returncode, done.stdout, read(notes)


def assert_plumbing(notes: Notes) -> None:
    """The descriptors: spec's table."""
    send = notes["qmail-send"]
    for part, to, back in (("qmail-lspawn", 1, 2), ("qmail-rspawn", 3, 4), ("qmail-clean", 5, 6)):
        assert notes[part]["fd0"] == send[f"fd{to}"]
        assert notes[part]["fd1"] == send[f"fd{back}"]
        assert notes[part]["fd2"] == send["fd0"]  # where the originals have nothing
        assert not {f"fd{n}" for n in range(3, 10)} & set(notes[part])
    assert notes["qmail-queued"]["fd0"] == send["fd7"]
    assert len({send[f"fd{n}"] for n in range(8)}) == 8
    assert not {"fd8", "fd9"} & set(send)


@pytest.mark.parametrize("way", WAYS)
def test_every_part_gets_its_words_its_descriptors_and_the_same_surroundings(tmp_path: Path, way: str) -> None:
    code, log, notes = start(tmp_path, "./Maildir/", env={"OTHER": "kept", **WAYS[way]})
    assert (code, log) == (0, b"the log is here\n")
    assert set(notes) == set(PARTS) - {"noter"}
    assert_plumbing(notes)
    words = {name: note["argv"] for name, note in notes.items()}
    assert words == {**dict.fromkeys(words, ""), "qmail-lspawn": "./Maildir/"}
    for note in notes.values():
        assert (note["cwd"], note["umask"]) == ("/", "0077")
        assert "OTHER=kept" in note["env"]
        assert note["env"] == notes["qmail-send"]["env"]
        assert note["uid"] == str(os.geteuid())


def test_the_default_delivery_is_mailbox_in_the_home(tmp_path: Path) -> None:
    _, _, notes = start(tmp_path)
    assert notes["qmail-lspawn"]["argv"] == "./Mailbox"


@pytest.mark.parametrize("way", WAYS)
def test_a_logger_reads_what_qmail_send_writes(tmp_path: Path, way: str) -> None:
    code, log, notes = start(tmp_path, "./Mailbox", "noter", "tag", "-x", env=WAYS[way])
    assert (code, log) == (0, b"")
    assert notes["noter"]["argv"] == "tag -x"
    assert notes["noter"]["fd0"] == notes["qmail-send"]["fd0"]
    assert not {f"fd{n}" for n in range(3, 10)} & set(notes["noter"])
    assert_plumbing(notes)


@pytest.mark.parametrize("missing", [name for name in PARTS if name != "qmail-queued"])
def test_what_is_missing_is_a_failure_without_words(tmp_path: Path, missing: str) -> None:
    code, log, notes = start(tmp_path, "./Mailbox", "noter", missing=missing)
    assert (code, log) == (111, b"")
    assert "qmail-send" not in notes


def test_it_becomes_qmail_send_with_its_own_pid(tmp_path: Path) -> None:
    home = make_instance(tmp_path)
    env = {"PATH": f"{launchers.directory()}:/bin:/usr/bin", "QMAILHOME": str(home)}
    argv = [launchers.ours("qmail-start"), "./Mailbox"]
    with subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"status: local 0/10 remote 0/20\n"
        process.terminate()
        assert process.stdout.read() == b"status: exiting\n"  # and all parts have closed the log
        assert process.wait(10) == 0


@pytest.mark.xdist_group("classic mail host")
def test_started_by_root_each_part_gets_the_account_that_needs_least() -> None:
    with ClassicHost() as host:
        host.add_classic_accounts()
        host.make_mail_host(**CONTROL)
        programs, notes = "/srv/programs", "/srv/notes"
        for directory in (programs, notes):
            host.file(directory).mkdir(parents=True, exist_ok=True)
            host.file(directory).chmod(0o777)
        for name in PARTS:
            host.write(f"{programs}/{name}", NOTES.replace("NOTES", notes), 0o755)
        env = {"PATH": f"{programs}:/bin:/usr/bin"}
        done = host.run("/var/qmail/bin/qmail-start", "./Mailbox", "noter", env=env)
        assert (done.code, done.out, done.err) == (0, b"", b"")
        host.wait_for(f"{notes}/noter")
        found = read(host.file(notes))
        assert_plumbing(found)
        qmail, nofiles = host.account("qmailq")[1], host.account("qmaild")[1]
        expected = {
            "noter": ("qmaill", nofiles),
            "qmail-lspawn": ("root", qmail),
            "qmail-rspawn": ("qmailr", qmail),
            "qmail-clean": ("qmailq", qmail),
            "qmail-queued": ("qmailq", qmail),
            "qmail-send": ("qmails", qmail),
        }
        for name, (user, gid) in expected.items():
            assert found[name]["uid"] == str(host.account(user)[0] if user != "root" else 0), name
            assert found[name]["groups"] == f"{gid} {gid}", name


@pytest.mark.xdist_group("classic mail host")
def test_an_account_that_is_missing_is_told_and_nothing_is_started() -> None:
    with ClassicHost() as host:
        host.add_classic_accounts()
        host.make_mail_host(**CONTROL)
        host.must("userdel", "qmailr")
        done = host.run("qmail-start")
        assert done.code == 111
        assert re.fullmatch(rb"fatal: unable to find user qmailr\n", done.err)
