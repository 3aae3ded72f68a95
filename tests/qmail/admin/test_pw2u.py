"""qmail-pw2u: users/assign from a password file.  Expected output observed on the original."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import instance, launchers

PASSWD = b"""\
root:x:0:0:root:/root:/bin/bash
alias:x:7790:2108::/var/qmail/alias:/bin/true
joe:x:1001:1001:Joe:/home/joe:/bin/sh
Big:x:1002:1002::/home/Big:/bin/sh
few:x:1003
nohome:x:1004:1004::/nonexistent:/bin/sh
"""
PLAIN = """\
+:alias:7790:2108:/var/qmail/alias:-::
=alias:alias:7790:2108:/var/qmail/alias:::
+alias-:alias:7790:2108:/var/qmail/alias:-::
=joseph:joe:1001:1001:/home/joe:::
+joseph-:joe:1001:1001:/home/joe:-::
=jj:joe:1001:1001:/home/joe:::
+jj-:joe:1001:1001:/home/joe:-::
=nohome:nohome:1004:1004:/nonexistent:::
+nohome-:nohome:1004:1004:/nonexistent:-::
=sub:joe:1001:1001:/home/joe:-:pre:
+sub-:joe:1001:1001:/home/joe:-:pre-:
+x:y:1:2:/h:-::
.
"""
BIG = "=Big:Big:1002:1002:/home/Big:::\n+Big-:Big:1002:1002:/home/Big:-::\n"
WITHOUT_EXTENSIONS = "".join(
    line for line in PLAIN.splitlines(keepends=True) if line[:1] != "+" or line.startswith(("+:", "+x:"))
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = instance.make_instance(tmp_path)
    (made / "users/mailnames").write_text("joe:joseph:jj\n")
    (made / "users/subusers").write_text("sub:joe:pre:\n")
    (made / "users/append").write_text("+x:y:1:2:/h:-::\n")
    return made


def run(home: Path, *options: str, passwd: bytes = PASSWD) -> launchers.Result:
    return launchers.run(launchers.ours("qmail-pw2u"), *options, stdin=passwd, env={"QMAILHOME": str(home)})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["-H"], PLAIN),
        (["-H", "-u"], PLAIN.replace("=nohome", BIG + "=nohome")),
        (["-Hu", "-U"], PLAIN),
        (["-H", "-/"], PLAIN.replace(":-:", ":-/:").replace("/h:-/:", "/h:-:")),
        (["-H", "-c+"], PLAIN.replace("alias-:", "alias+:").replace("joseph-:", "joseph+:").replace("jj-:", "jj+:")
         .replace("nohome-:", "nohome+:").replace("sub-:", "sub+:")),
        (["-HC"], WITHOUT_EXTENSIONS),
    ],
)  # fmt: skip
def test_accounts_become_assignments(home: Path, options: list[str], text: str) -> None:
    assert run(home, *options) == launchers.Result(0, text.encode(), b"")


def test_a_user_without_a_home_of_its_own_is_skipped_or_stops_everything(home: Path) -> None:
    absent = "qmail-pw2u: fatal: unable to find alias user\n"
    assert run(home) == launchers.Result(111, b"", absent.encode())
    stat = "qmail-pw2u: fatal: unable to stat /var/qmail/alias\n"
    assert run(home, "-h") == launchers.Result(111, b"", stat.encode())


def test_include_and_exclude_choose_the_users(home: Path) -> None:
    (home / "users/exclude").write_text("NOHOME\n")
    assert b"nohome" not in run(home, "-H").out
    (home / "users/include").write_text("joe\n")
    done = run(home, "-H")
    assert (done.code, done.err) == (111, b"qmail-pw2u: fatal: unable to find alias user\n")
    assert b"joseph" in done.out and b"nohome" not in done.out


def test_a_subuser_of_nobody_is_an_error(home: Path) -> None:
    (home / "users/subusers").write_text("sub:ghost:pre:\n")
    done = run(home, "-H")
    assert (done.code, done.err) == (111, b"qmail-pw2u: fatal: unable to find ghost user for subuser\n")


def test_a_bad_option_is_told(home: Path) -> None:
    assert run(home, "-z") == launchers.Result(100, b"", b"qmail-pw2u: illegal option -- z\n")
