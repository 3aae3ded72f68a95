"""ucspi-completion: shells complete the options that programs declare."""

from __future__ import annotations

import shutil
import subprocess

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
