"""Write the launchers of all programs: `python -m ucspi.core.launchers [DIRECTORY]`.

pip's own launchers work too; these start in two thirds of the time.  They run the interpreter isolated and without
`site` (-I -S), so neither the environment nor the user's site-packages can change what a mail program imports, and name
the two places that imports may come from.  setup.cfg's entry points, as installed, are the list of programs."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import sysconfig

from ucspi.core.failure import PermanentFailure

TEMPLATE = """\
#!{python} -IS
import sys
sys.path += {paths!r}
from {module} import main
sys.exit(main())
"""
GROUPS = ("console_scripts", "ucspi_qmail.launchers")
LONGEST_SHEBANG = 255  # Linux cuts longer first lines, and splits them at the first blank
# For an interpreter that no first line can name: a shell starts it, and to Python the lines are a string.
BY_SHELL = """\
#!/bin/sh
'''exec' "{python}" -IS "$0" "$@"
' '''
"""


def paths() -> list[str]:
    """Where the project and its libraries are imported from."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return list(dict.fromkeys([here, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]))


def text(module: str, python: str = sys.executable, places: list[str] | None = None) -> str:
    """One launcher, for this interpreter and installation unless it says otherwise.  Raises PermanentFailure."""
    launcher = TEMPLATE.format(python=python, paths=places or paths(), module=module)
    first, _, rest = launcher.partition("\n")
    if len(first) <= LONGEST_SHEBANG and not any(map(str.isspace, python)):
        return launcher
    if any(letter in python for letter in "\"'$`\\\n"):
        raise PermanentFailure(f"{python}: no script can name this interpreter")
    return BY_SHELL.format(python=python) + rest


def programs() -> list[importlib.metadata.EntryPoint]:
    """Every program, as setup.cfg declares them: those that pip can install, and those with an @ in their names."""
    entries = importlib.metadata.distribution("ucspi-qmail").entry_points
    return [entry for entry in entries if entry.group in GROUPS]


def write(directory: str) -> list[str]:
    """Write every launcher into `directory`; returns their names.  Each is replaced in one step."""
    names = []
    for program in programs():
        file = os.path.join(directory, program.name)
        with open(file + ".new", "w", encoding="utf-8") as launcher:
            launcher.write(text(program.module))
            os.fchmod(launcher.fileno(), 0o755)
        os.rename(file + ".new", file)
        names.append(program.name)
    return names


if __name__ == "__main__":
    place = sys.argv[1] if len(sys.argv) > 1 else sysconfig.get_path("scripts")
    try:
        print(f"{len(write(place))} programs in {place}")
    except PermanentFailure as e:
        sys.exit(f"launchers: fatal: {e}")
