"""ucspi-completion: shells complete the options that programs declare."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.support import launchers
from tests.support.programs import programs


def answer(shell: str, *words: str) -> list[str]:
    env = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = launchers.run(launchers.ours("ucspi-completion"), shell, words[0], env=env)
    assert (done.code, done.err) == (0, b"")
    return done.out.decode().splitlines()


def test_the_options_of_a_program_are_offered() -> None:
    offered = answer("bash", "rblsmtpd", "-")
    assert {"plain,-r", "plain,-a", "plain,-b", "plain,-t"} <= set(offered)
    assert "plain,--json" in answer("bash", "qmail-qread", "--")


def test_behind_the_options_files_are_offered() -> None:
    assert answer("bash", "tcprulescheck", "ru") == ["file,ru"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["softlimit", "-m", "9", "rblsmtpd", "-"], "-B"),
        (["softlimit", "-m", "9", "/usr/bin/tcpserver", "-v", "0", "25", "rblsmtpd", "-"], "-B"),
        (["setuidgid", "rblsmtpd", "-"], "-B"),
        (["softlimit", "-m", "9", "-"], "-a"),
        (["forward", "rblsmtpd", "-"], None),
        (["softlimit", "-m", "9", "cat", "-"], None),
    ],
)
def test_in_a_chain_the_options_are_those_of_the_last_program(words: list[str], offered: str | None) -> None:
    lines = answer("bash", *words)
    assert ("plain,-B" in lines, "plain,-a" in lines) == (offered == "-B", offered in ("-B", "-a"))


def test_zsh_gets_the_help_beside_the_option() -> None:
    lines = answer("zsh", "rblsmtpd", "-")
    assert lines[lines.index("-b") - 1] == "plain"
    assert lines[lines.index("-b") + 1] != "_"


def test_bash_takes_the_script_and_completes_with_it() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    script = """\
eval "$(ucspi-completion bash)"
complete -p tcpserver who@ qmail-send >/dev/null || exit 1
COMP_WORDS=(rblsmtpd -) COMP_CWORD=1
_ucspi_completion rblsmtpd
echo "${COMPREPLY[*]}"
"""
    env = {"PATH": f"{launchers.directory()}:/usr/bin:/bin"}
    done = subprocess.run([bash, "-c", script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"-r", "-a", "-b"} <= set(done.stdout.split())


def test_zsh_takes_the_script_and_completes_with_it(tmp_path: Path) -> None:
    """At a terminal, as completion functions run nowhere else."""
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    (tmp_path / "rules.cdb").touch()
    ours, theirs = pty.openpty()
    env = {"PATH": f"{launchers.directory()}:/usr/bin:/bin", "TERM": "dumb", "HOME": str(tmp_path), "PS1": "# "}
    argv = ["zsh", "-f", "-i"]
    zsh = subprocess.Popen(
        argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=tmp_path, start_new_session=True
    )
    os.close(theirs)
    try:
        os.write(ours, b'autoload -U compinit; compinit -u -D; eval "$(ucspi-completion zsh)"; echo re""ady\n')
        read_until(ours, b"ready\r\n")
        os.write(ours, b"tcprulescheck ru\t")
        read_until(ours, b"rules.cdb")
        os.write(ours, b"\x15softlimit -m 9 rblsmtpd -\t")
        read_until(ours, b"Refuse addresses with a TXT record")
    finally:
        zsh.kill()
        zsh.wait()
        os.close(ours)


def read_until(fd: int, text: bytes) -> None:
    """Wait until a terminal shows `text`."""
    shown, deadline = b"", time.monotonic() + 60
    while text not in shown:
        assert select.select([fd], [], [], max(0, deadline - time.monotonic()))[0], shown
        shown += os.read(fd, 65536)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_names_every_program(shell: str) -> None:
    done = launchers.run(launchers.ours("ucspi-completion"), shell)
    assert (done.code, done.err) == (0, b"")
    words = set(done.out.decode().split())
    assert set(programs()) <= words
    assert f"ucspi-completion {shell}" in done.out.decode()


@pytest.mark.parametrize("args", [[], ["fish"], ["bash", "no-such-program"], ["bash", "x", "y"]])
def test_anything_else_is_a_usage_error(args: list[str]) -> None:
    assert launchers.run(launchers.ours("ucspi-completion"), *args).code == 100
