"""qmail-scanner-configure: what it finds, says, makes and leaves alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import launchers
from tests.support.scanned import ScannedHome
from tests.support.scanned import home as home
from tests.support.scanners import RealClamd, RealSpamd

pytestmark = pytest.mark.xdist_group("scan engines")


@pytest.fixture
def bare(home: ScannedHome, tmp_path: Path) -> ScannedHome:
    """An instance where nothing has been configured."""
    (home.home / "control/scanner").unlink()
    home.spool = tmp_path / "spool"
    return home


def configure(home: ScannedHome, *words: str) -> launchers.Result:
    return launchers.run(launchers.ours("qmail-scanner-configure"), *words, env={"QMAILHOME": str(home.home)})


def engines(clamd: RealClamd, spamd: RealSpamd) -> list[str]:
    return [
        "--scanners",
        "clamdscan,fast_spamassassin=SPAM:",
        f"--clamd={clamd.address.decode()}",
        "--spamd",
        spamd.address.decode(),
    ]


def listing(home: ScannedHome) -> dict[str, bytes | None]:
    return {
        str(p): p.read_bytes() if p.is_file() else None for p in [*home.spool.rglob("*"), *home.home.rglob("control/*")]
    }


def test_the_articles_command_sets_everything_up_and_a_second_run_changes_nothing(
    bare: ScannedHome, clamd: RealClamd, spamd: RealSpamd
) -> None:
    article = ["--log-details", "syslog", "--domain", "mail.aaaa.hu", "--install"]
    command = [*article, "--spooldir", str(bare.spool), *engines(clamd, spamd)]
    done = configure(bare, *command)
    assert (done.code, done.err) == (0, b"")
    for line in (
        f"clamd at {clamd.address.decode()}: passes a clean message, finds the test virus\n",
        f"spamd at {spamd.address.decode()}: passes a clean message, finds the test spam\n",
        "control/scanner: domain: mail.aaaa.hu\n",
        f"made {bare.spool}/quarantine/viruses/new\n",
        f"made {bare.spool}/quarantine-events.txt\n",
        "version of clamdscan: ",
        "version of spamassassin: ",
        f"wrote {bare.home}/control/scanner\n",
    ):
        assert line.encode() in done.out, done.out
    assert (bare.spool / "viruses.log").is_symlink()
    first = listing(bare)
    again = configure(bare, *command)
    assert again.code == 0
    assert b"made" not in again.out and b"wrote" not in again.out and b"control/scanner" not in again.out
    assert listing(bare) == first
    mail = bare.hand_in
    bare.instance.control = os.fsencode(bare.home / "control")
    assert mail() == b""
    assert len(bare.queued()) == 1


def test_without_install_it_only_says_what_it_would_do(bare: ScannedHome, clamd: RealClamd, spamd: RealSpamd) -> None:
    before = listing(bare)
    done = configure(bare, "--spooldir", str(bare.spool), *engines(clamd, spamd))
    assert done.code == 0
    assert b"control/scanner: scanners: clamdscan,fast_spamassassin=SPAM:\n" in done.out
    assert done.out.endswith(b"nothing is changed: that takes --install\n")
    assert listing(bare) == before and not bare.spool.exists()


def test_engines_are_found_where_they_are_said_to_be(bare: ScannedHome, clamd: RealClamd, spamd: RealSpamd) -> None:
    where = [f"--clamd={clamd.tcp.decode()}", f"--spamd={spamd.address.decode()}", "--rspamd=127.0.0.1:1"]
    done = configure(bare, "--install", "--spooldir", str(bare.spool), "--scanners", "auto", *where)
    assert b"control/scanner: scanners: clamdscan,fast_spamassassin\n" in done.out
    assert b"rspamd: none at 127.0.0.1:1\n" in done.out
    assert done.code == 0
    assert configure(bare, "--install", "--scanners", "none").code == 0
    assert "scanners: \n" in (bare.home / "control/scanner").read_text()


def test_a_later_run_changes_only_what_it_is_told_and_keeps_comments(bare: ScannedHome) -> None:
    file = bare.home / "control/scanner"
    file.write_text(f"# mine\nvirus: reject\nspooldir: {bare.spool}\nscanners:\nadmin: sj\n")
    done = configure(bare, "--install", "--admin", "bela", "--policy=drop")
    assert done.code == 0
    assert b"control/scanner: admin: bela (was sj)\n" in done.out
    assert file.read_text() == f"# mine\nvirus: reject\nspooldir: {bare.spool}\nscanners: \nadmin: bela\npolicy: drop\n"
    rules = bare.spool / "quarantine-events.txt"
    rules.write_text("mine\tSIZE=-1\tx\n")
    assert configure(bare, "--install").code == 0
    assert rules.read_text() == "mine\tSIZE=-1\tx\n"


def test_an_engine_that_does_not_work_stops_the_installation(bare: ScannedHome, spamd: RealSpamd) -> None:
    before = listing(bare)
    for address, problem in (("/nonexistent", b"file does not exist"), (spamd.address.decode(), b"")):
        done = configure(bare, "--install", "--spooldir", str(bare.spool), "--scanners=clamdscan", "--clamd", address)
        assert done.code == 111 and b"qmail-scanner-configure: fatal: clamd: " + problem in done.err
        assert listing(bare) == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--nonsense"], 100, b"illegal option"),
        (["--domain"], 100, b"option requires an argument -- domain"),
        (["--install=yes"], 100, b"illegal option"),
        (["word"], 100, b"usage: "),
        (["--scanners", "sweep"], 111, b"what is sweep?"),
        (["--scanners", "verbose_spamassassin=SPAM:"], 111, b"verbose_spamassassin has no text: spamd itself marks"),
        (
            ["--scanners", "verbose_spamassassin,fast_spamassassin"],
            111,
            b"spamd is asked once, and either fast or verbose",
        ),
        (["--block-password-protected", "perhaps"], 111, b"block-password-protected: neither yes or no nor a number"),
        (["--virus", "eat"], 111, b"what is eat?"),
        (["--archive", "a(b"], 111, b"control/scanner: archive: a(b: "),
        (["--dlp-monitor", "yes"], 100, b"--dlp-monitor yes: that is not done here"),
        (["--debug", "perhaps"], 111, b"control/scanner: debug: neither yes or no nor a number: perhaps"),
        (["--add-dscr-hdrs", "some"], 111, b"add-dscr-hdrs: not one of no, yes, all: some"),
        (["--header", "X"], 111, b"header: not one of "),
        (["--spooldir", "qscan"], 111, b"control/scanner: spooldir: does not begin with a slash: qscan"),
        (["--spooldir="], 111, b"spooldir: does not begin with a slash: \n"),
        (["--admin", "sj@aaaa.hu"], 111, b"control/scanner: admin: makes no address: sj@aaaa.hu"),
        (["--admin="], 111, b"admin: makes no address: \n"),
        (["--domain", "aaaa hu"], 111, b"domain: makes no address: aaaa hu"),
        (["--error-fd", "four"], 111, b"error-fd: "),
        (["--domain", "a\nvirus: drop"], 100, b"one line"),
    ],
)
def test_what_makes_no_sense_changes_nothing(bare: ScannedHome, words: list[str], code: int, said: bytes) -> None:
    before = listing(bare)
    done = configure(bare, "--scanners=", "--install", "--spooldir", str(bare.spool), *words)
    assert done.code == code and said in done.err
    assert listing(bare) == before


def test_options_of_the_original_are_taken(bare: ScannedHome) -> None:
    old = [
        "--skip-setuid-test",
        "--batch",
        "--lang",
        "en_GB",
        "--archive=no",
        "--ignore-eol-check",
        "--dlp-monitor",
        "no",
    ]
    done = configure(bare, "--scanners=", *old, "--sa-faulttolerant", "yes", "--block-password-protected", "yes")
    assert done.code == 0
    assert b"--lang has no meaning here\n" in done.out
    assert b"control/scanner: ignore-eol-check: yes\ncontrol/scanner: spamd-failure: pass\n" in done.out
    assert b"control/scanner: block-password-protected: yes\n" in done.out
