"""argv0, setuidgid, envuidgid, setlock, pgrphack, fghack: one table, run with the originals and with ours."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.launchers import original, ours, run

AS_ROOT = os.geteuid() == 0
SESSION = "ps -o sid=,pgid= -p $$ | tr -s ' ' '\\n' | sed \"s/^$$\\$/self/\" | tr -d '\\n'"
COMMANDS = [
    "argv0",
    "argv0 cat",
    "argv0 /nonexistent x",
    "argv0 nonexistent-program x",
    "argv0 sh myname -c 'echo $0'",
    "argv0 sh -x -c 'echo $0'",
    "setuidgid",
    "setuidgid root",
    "setuidgid 65534 id",
    "setuidgid no-such-account id",
    "setuidgid -h id",
    "setuidgid '' id",
    "setuidgid nobody /nonexistent",
    "envuidgid",
    "envuidgid daemon",
    "envuidgid no-such-account env",
    "envuidgid daemon sh -c 'echo $UID $GID; printenv UID GID'",
    "envuidgid daemon nonexistent-program",
    "setlock",
    "setlock lk",
    "setlock -z lk true",
    "setlock nodir/lk true",
    "setlock -x nodir/lk true",
    "setlock -xX nodir/lk true",
    "setlock . true",
    "setlock lk sh -c 'setlock -n lk echo one; echo $?'",
    "setlock lk sh -c 'setlock -nx lk echo one && echo two'",
    "setlock -nN lk sh -c 'ls -l lk | cut -c1-10; ls -l /proc/self/fd | grep -c lk'",
    "setlock lk sh -c 'exit 9'",
    "setlock lk nonexistent-program",
    "sh -c 'umask 0; exec setlock lk stat -c %a lk'",
    "pgrphack",
    "pgrphack nonexistent-program",
    f"pgrphack sh -c '{SESSION}'".replace("'\\n'", '"\\n"').replace("' '", '" "'),
    "pgrphack sh -c 'exit 4'",
    "fghack",
    "fghack nonexistent-program",
    "fghack sh -c '(sleep 0.2; echo late) & echo early; exit 6'",
    "fghack sh -c 'kill -9 $$'",
    "fghack sh -c 'ls /proc/self/fd | wc -l'",
    "fghack fghack sh -c 'exit 3'",
    "argv0 argv0 argv0 sh x -c 'echo $0'",
]
if AS_ROOT:
    COMMANDS += [
        "setuidgid nobody id",
        "setuidgid nobody sh -c 'echo $HOME $USER; umask'",
        "setuidgid daemon sh -c 'grep -i groups /proc/self/status'",
    ]
    if all(parent.stat().st_mode & 1 for parent in Path(sys.executable).resolve().parents):
        COMMANDS += ["setuidgid nobody setuidgid nobody id", "setuidgid nobody setlock lk true"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("way", ["in-process", "exec"])
def test_a_command_does_what_it_does_with_the_originals(command: str, way: str, tmp_path: Path) -> None:
    for name in ("argv0", "setlock"):
        original(name)
    for directory in ("c", "ours"):
        (tmp_path / directory).mkdir()
    env: dict[str, str] = {"UID": "5", "GID": "6"}
    path = os.path.dirname(ours("argv0"))
    expected = run("/bin/sh", "-c", command, env={**env, "PATH": "/usr/bin:/bin"}, cwd=tmp_path / "c")
    exact = {"UCSPI_EXEC": "1"} if way == "exec" else {}
    done = run("/bin/sh", "-c", command, env={**env, **exact, "PATH": f"{path}:/usr/bin:/bin"}, cwd=tmp_path / "ours")
    assert (done.code, done.out) == (expected.code, expected.out)
    assert done.err == expected.err
    assert os.listdir(tmp_path / "ours") == os.listdir(tmp_path / "c")
