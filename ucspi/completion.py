"""Print what a shell needs to complete the options of all programs.  ucspi-completion(1).

    eval "$(ucspi-completion bash)"        in ~/.bashrc; or zsh, in ~/.zshrc

The script that it prints calls `ucspi-completion SHELL PROGRAM` back for each completion, COMP_WORDS and COMP_CWORD
being in the environment; click finds the answer in the same declarations that --help is made of.

Exits 0, or 100 for an unknown shell or program."""

from __future__ import annotations

import os

from ucspi.core import chain, streams
from ucspi.core.command import Call, Program
from ucspi.core.failure import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from click.shell_completion import ShellComplete

PROGRAM = Program(
    "ucspi-completion", __doc__, usage="ucspi-completion bash|zsh [ program ]", operands="SHELL [PROGRAM]"
)

FUNCTION = "_ucspi_completion"


def completion(call: Call) -> int:
    """The script for a shell, or the completions for one line of it."""
    words = [os.fsdecode(word) for word in call.operands]
    if len(words) not in (1, 2) or words[0] not in ("bash", "zsh"):
        raise UsageFailure
    if len(words) == 1:
        streams.write_all(1, script(words[0]).encode())
    else:
        streams.write_all(1, (answer(words[0], os.path.basename(words[1])) + "\n").encode())
    return 0


def script(shell: str) -> str:
    """click's own script, for one function that serves all programs."""
    call_back = {"bash": f'ucspi-completion {shell} "$1"', "zsh": f'ucspi-completion {shell} "${{words[1]}}"'}[shell]
    names = " ".join(sorted(_programs()))
    text = _complete(shell, "PROGRAMS", Program("PROGRAMS", None)).source()
    # click lets the program that is completed answer; ours must not look into the environment for that at each start.
    variable = f"_CLICK={shell}_complete"
    for program in ("$1", "PROGRAMS"):
        text = text.replace(f"{variable} {program})", f"{call_back})")
    return text.replace("_PROGRAMS_completion", FUNCTION).replace("PROGRAMS", names)


def answer(shell: str, name: str) -> str:
    """What could stand at the cursor."""
    module = _programs().get(name)
    if module is None:
        raise UsageFailure(f"ucspi-completion: {name} is none of our programs")
    return _complete(shell, name, chain.load(module).program).complete()  # type: ignore[attr-defined]


def _complete(shell: str, name: str, program: Program) -> ShellComplete:
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    return kind(program.as_click(), {}, name, "_CLICK")


def _programs() -> dict[str, str]:
    from ucspi.core import launchers

    return {entry.name: entry.module for entry in launchers.programs()}


main = PROGRAM.entry(completion)
