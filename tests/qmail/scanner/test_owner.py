"""What root does in a spool that another user owns, when that user has put links to root's files into it."""

from __future__ import annotations

import os
import pwd
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmail.scanner import owner
from tests.support import launchers
from tests.support.engines import ScriptedEngine
from tests.support.scanned import CLEAN, VIRUS, ScannedHome, chunks
from tests.support.scanned import home as home

NOBODY = pwd.getpwnam("nobody")

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root: who else can be led astray?")


@pytest.fixture
def spool(home: ScannedHome) -> Path:
    """The instance's, which belongs to nobody."""
    home.home.chmod(0o711)
    owner.hand_over(os.fsencode(home.spool), NOBODY.pw_uid, NOBODY.pw_gid)
    return home.spool


@pytest.fixture
def precious() -> Iterator[Path]:
    """A directory of root's with an old file in it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        file = Path(name, "passwd")
        file.write_text("root\n")
        os.utime(file, (time.time() - 1e6,) * 2)
        yield Path(name)
        assert os.listdir(name) == ["passwd"] and file.read_text() == "root\n"
        assert {os.stat(path).st_uid for path in (name, file)} == {0}


def run(home: ScannedHome, *words: str) -> launchers.Result:
    return launchers.run(launchers.ours(words[0]), *words[1:], env={"QMAILHOME": str(home.home)})


def misled(spool: Path, place: str, precious: Path) -> None:
    """As nobody: a link instead of a directory or file."""
    with owner.of(os.fsencode(spool)):
        if (spool / place).is_dir():
            (spool / place).rmdir()
        (spool / place).symlink_to(precious)


@pytest.mark.parametrize("user", ["nobody", "daemon"])
def test_configure_makes_nothing_where_a_link_leads(home: ScannedHome, spool: Path, precious: Path, user: str) -> None:
    misled(spool, "quarantine/spam/cur", precious)
    for name in ("quarantine-events.txt.new", "qmail-scanner-queue-version.txt.new"):
        misled(spool, name, precious / "passwd")
        done = run(home, "qmail-scanner-configure", "--install", "--qs-user", user)
        assert done.code == 111 and done.err.endswith(b"/%b: access denied\n" % name.encode())
        (spool / name).unlink()
    assert spool.stat().st_uid == (spool / "quarantine/spam").stat().st_uid == pwd.getpwnam(user).pw_uid


def test_configure_gives_a_new_spool_to_its_user_and_a_second_run_to_another_one(home: ScannedHome) -> None:
    home.home.chmod(0o711)
    home.spool = home.home / "other"
    home.set()
    for user in ("nobody", "daemon"):
        done = run(home, "qmail-scanner-configure", "--install", "--qs-user", user)
        assert (done.code, done.err) == (0, b"")
        given = b"gave %b and what is in it to uid %d\n" % (os.fsencode(home.spool), pwd.getpwnam(user).pw_uid)
        assert (given in done.out) is (user == "daemon")
        places = [home.spool, *home.spool.rglob("*")]
        assert len(places) > 15
        assert {place.lstat().st_uid for place in places if not place.is_symlink()} == {pwd.getpwnam(user).pw_uid}


def test_the_daily_clean_up_removes_nothing_where_a_link_leads(home: ScannedHome, spool: Path, precious: Path) -> None:
    misled(spool, "working/tmp", precious)
    old = spool / "quarantine/spam/tmp/old"
    old.write_text("x")
    os.utime(old, (time.time() - 1e6,) * 2)
    assert run(home, "qmail-scanner-queue", "-z").code == 0
    assert not old.exists()


def test_mail_of_root_is_kept_by_the_spools_owner_and_nowhere_else(
    home: ScannedHome, spool: Path, precious: Path
) -> None:
    with ScriptedEngine([chunks(CLEAN), VIRUS]) as engine:
        home.set(scanners="clamdscan", clamd=engine.address, debug="yes")
        assert home.hand_in() == b""
        (kept,) = home.quarantined()
        for file in (os.fsdecode(kept.path), spool / "quarantine.log", spool / "qmail-queue.log"):
            assert os.stat(file).st_uid == NOBODY.pw_uid
        for name in ("quarantine.log", "qmail-queue.log"):
            (spool / name).unlink()
            misled(spool, name, precious / "passwd")
        misled(spool, "quarantine/viruses/tmp", precious)
        assert home.hand_in() == b"Zqq write error or disk full (#4.3.0)"
        (spool / "quarantine/viruses/tmp").unlink()
        (spool / "quarantine/viruses/tmp").mkdir()
        os.chown(spool / "quarantine/viruses/tmp", NOBODY.pw_uid, 0)
        assert home.hand_in() == b"" and len(home.quarantined()) == 2
    assert os.geteuid() == 0 and os.getegid() == os.getgid()


def test_the_administrator_releases_and_deletes_what_the_spools_owner_keeps(home: ScannedHome, spool: Path) -> None:
    with ScriptedEngine([chunks(CLEAN), VIRUS]) as engine:
        home.set(scanners="clamdscan", clamd=engine.address)
        assert home.hand_in() == home.hand_in() == b""
    one, two = (os.fsdecode(kept.name) for kept in home.quarantined())
    assert run(home, "quarantine", "list").out.count(b"\n") == 2
    assert run(home, "quarantine", "show", "-r", one).out == CLEAN
    assert run(home, "quarantine", "release", one).code == run(home, "quarantine", "delete", two).code == 0
    assert home.queued() == [(b"Fsj@aaaa.hu\0Tsj@mail.aaaa.hu\0", CLEAN)] and home.quarantined() == []


def test_a_file_with_a_name_elsewhere_is_not_given_away(spool: Path, precious: Path) -> None:
    try:
        os.link(precious / "passwd", spool / "mine")
    except OSError:
        pytest.skip("the temporary directory is on another file system")
    os.mkfifo(spool / "fifo")
    owner.hand_over(os.fsencode(spool), 1, 1)
    assert (spool / "mine").stat().st_uid == 0 and (spool / "working").stat().st_uid == 1
    (spool / "mine").unlink()
