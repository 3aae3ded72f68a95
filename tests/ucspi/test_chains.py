"""Chains of run-script programs behind tcpserver: original and ours in every mixture say the same to the client."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from tests.support.launchers import original, ours
from tests.support.server import WAYS, Server

LINKS = ["tcpserver", "rblsmtpd", "recordio", "fixcrio", "envdir"]
MIXTURES = list(itertools.product(["c", "ours"], repeat=len(LINKS)))
SCRIPT = "read a; printf 'got %s\\n' \"$a\"; echo var $VAR; echo fds $(ls /proc/self/fd | wc -l); exit 3"


ANSWER = b"got hello\r\nvar from envdir\r\nfds 4\r\n"  # 0 1 2, and the directory that ls reads


def talk(chosen: dict[str, str], way: str, tmp_path: Path) -> tuple[bytes, list[bytes]]:
    """What the client hears, and recordio's lines (whose two directions may come in any order)."""
    (tmp_path / "env").mkdir(exist_ok=True)
    (tmp_path / "env" / "VAR").write_text("from envdir\n")
    path = {name: original(name) if which == "c" else ours(name) for name, which in chosen.items()}
    program = [path[name] for name in ("rblsmtpd", "recordio", "fixcrio", "envdir")]
    program += [str(tmp_path / "env"), "sh", "-c", SCRIPT]
    with Server(program, ("-HRl0",), WAYS[way], tcpserver=path["tcpserver"]) as server:
        said = server.talk(b"hello\n")
        server.wait_for(rb"status 768\ntcpserver: status: 0/40\n")
        server.wait_for(rb"> \[EOF\]")
        lines = re.findall(rb"(?m)^\d+( [<>] [^\[].*\n)", server.log)
        return said, sorted(lines)


EXPECTED = [b" < hello \n", b" > fds 4\r \n", b" > got hello\r \n", b" > var from envdir\r \n"]


@pytest.mark.parametrize("mixture", MIXTURES, ids="-".join)
def test_any_mixture_behaves_as_all_original(mixture: tuple[str, ...], tmp_path: Path) -> None:
    assert talk(dict(zip(LINKS, mixture, strict=True)), "in-process", tmp_path) == (ANSWER, EXPECTED)


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_pool_of_ours_behaves_alike_both_ways(way: str, tmp_path: Path) -> None:
    for _ in range(3):
        assert talk(dict.fromkeys(LINKS, "ours"), way, tmp_path) == (ANSWER, EXPECTED)
