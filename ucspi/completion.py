"""Print what a shell needs to complete the options of all programs.  ucspi-completion(1).

    eval "$(ucspi-completion bash)"        in ~/.bashrc; or zsh, in ~/.zshrc behind compinit

The script that it prints calls `ucspi-completion SHELL PROGRAM` back for each completion, COMP_WORDS and COMP_CWORD
being in the environment; click finds the answer in the same declarations that --help is made of.  In a chain it is the
answer of the program that the cursor is in.

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
    text = text.replace("$+commands[PROGRAMS]", "$+commands[ucspi-completion]")  # zsh: who answers must be there
    return text.replace("_PROGRAMS_completion", FUNCTION).replace("PROGRAMS", names)


def answer(shell: str, name: str) -> str:
    """What could stand at the cursor."""
    args, incomplete = _complete(shell, name, _program(name)).get_completion_args()
    name, args = _innermost(name, args)
    complete = _complete(shell, name, _program(name))
    return "\n".join(complete.format_completion(item) for item in complete.get_completions(args, incomplete))


def _innermost(name: str, args: list[str]) -> tuple[str, list[str]]:
    """The program of a chain that the cursor is in, and its words before the cursor."""
    while True:
        program = _program(name)
        try:
            operands = [os.fsdecode(word) for word in program.parse(list(map(os.fsencode, [name, *args])))[1]]
        except UsageFailure:  # an option whose value is to come
            return name, args
        if not operands or not any(mark in program.operands for mark in ("[ARG]", "[ARGS]", "[ARG ")):
            return name, args
        names = list(map(os.path.basename, operands))
        at = next((i for i, word in enumerate(names) if word in _programs()), None)
        if at is None:
            return name, ["--", *operands]  # what looks like an option is another program's
        name, args = names[at], operands[at + 1 :]


def _program(name: str) -> Program:
    module = _programs().get(name)
    if module is None:
        raise UsageFailure(f"ucspi-completion: {name} is none of our programs")
    program: Program = chain.load(module).program  # type: ignore[attr-defined]
    return program


def _complete(shell: str, name: str, program: Program) -> ShellComplete:
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    return kind(program.as_click(), {}, name, "_CLICK")


def _programs() -> dict[str, str]:
    from ucspi.core import launchers

    return {entry.name: entry.module for entry in launchers.programs()}


main = PROGRAM.entry(completion)
