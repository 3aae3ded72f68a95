"""A run script's chain behind tcpserver: originals and ours in every mixture say the same to the client."""

from __future__ import annotations

import itertools
import os
import pwd
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import launchers
from tests.support.server import WAYS, Server

LINKS = ["tcpserver", "rblsmtpd", "recordio", "fixcrio", "setuidgid", "envdir"]
MIXTURES = list(itertools.product(["c", "ours"], repeat=len(LINKS)))
SCRIPT = "read a; printf 'got %s\\n' \"$a\"; echo var $VAR; id -u; echo fds $(ls /proc/self/fd | wc -l); exit 3"
ACCOUNT = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
UID = pwd.getpwnam(ACCOUNT).pw_uid

ANSWER = b"got hello\r\nvar from envdir\r\n%d\r\nfds 4\r\n" % UID  # 0 1 2, and the directory that ls reads
RECORDED = [b" < hello \n", b" > %d\r \n" % UID, b" > fds 4\r \n", b" > got hello\r \n", b" > var from envdir\r \n"]


@pytest.fixture
def env() -> Iterator[Path]:
    """A directory for envdir that ACCOUNT can read."""
    if os.geteuid() != 0:
        pytest.skip("setuidgid is for root")
    if launchers.for_everybody() is None:
        pytest.skip("no Python that other accounts may run")
    with tempfile.TemporaryDirectory(prefix="env-") as made:
        here = Path(made)
        here.chmod(0o755)
        (here / "VAR").write_text("from envdir\n")
        yield here


def serving(mixture: tuple[str, ...], way: str, env: Path) -> Server:
    ours = launchers.for_everybody() or ""
    path = {
        name: launchers.original(name) if which == "c" else f"{ours}/{name}"
        for name, which in zip(LINKS, mixture, strict=True)
    }
    program = [path["rblsmtpd"], path["recordio"], path["fixcrio"], path["setuidgid"], ACCOUNT]
    program += [path["envdir"], str(env), "sh", "-c", SCRIPT]
    return Server(program, ("-HRl0",), WAYS[way], tcpserver=path["tcpserver"])


def talk(mixture: tuple[str, ...], way: str, env: Path) -> tuple[bytes, list[bytes]]:
    """What the client hears, and recordio's lines (whose two directions may come in any order)."""
    with serving(mixture, way, env) as server:
        said = server.talk(b"hello\n")
        # recordio may still have something to say when its program has ended
        server.wait_for(rb"status 768\n(\d+ > .*\n)*tcpserver: status: 0/40\n")
        server.wait_for(rb"> \[EOF\]")
        lines = re.findall(rb"(?m)^\d+( [<>] [^\[].*\n)", server.log)
        return said, sorted(lines)


@pytest.mark.parametrize("mixture", MIXTURES, ids="-".join)
def test_any_mixture_behaves_as_all_original(mixture: tuple[str, ...], env: Path) -> None:
    assert talk(mixture, "in-process", env) == (ANSWER, RECORDED)


@pytest.mark.parametrize("mixture", [mixture for mixture in MIXTURES if mixture[0] == "ours"], ids="-".join)
def test_any_mixture_behind_ours_behaves_alike_where_every_exec_is_a_real_one(
    mixture: tuple[str, ...], env: Path
) -> None:
    assert talk(mixture, "exec", env) == (ANSWER, RECORDED)


def test_nothing_of_one_connection_is_seen_by_the_next(env: Path) -> None:
    with serving(("ours",) * len(LINKS), "in-process", env) as server:
        assert [server.talk(b"hello\n") for _ in range(5)] == [ANSWER] * 5
