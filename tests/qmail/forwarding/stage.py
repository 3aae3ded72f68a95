"""Debian's fastforward and dot-forward and ours on the same stage: a control directory, /etc/aliases, a queue program.

The originals have Debian's paths compiled in, so each run gets a mount namespace in which a directory of its own lies
over /var/lib/qmail and another over /etc."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support import launchers

HOME = "/var/lib/qmail"
ORIGINALS = {
    **{name: f"/usr/bin/{name}" for name in ("fastforward", "setforward", "printforward", "newinclude", "dot-forward")},
    **{name: f"/usr/bin/{name}" for name in ("setmaillist", "printmaillist")},
    "newaliases": "/usr/sbin/qmail-newaliases",  # /usr/bin/newaliases belongs to whichever MTA is installed
}
CONTROL = {"me": "mail.aaaa.hu"}
ENV = {
    "USER": "joe",
    "HOST": "mail.aaaa.hu",
    "NEWSENDER": "new@s.example",
    "SENDER": "s@o.example",
    "DTLINE": "Delivered-To: joe@mail.aaaa.hu\n",
    "UFLINE": "From s@o.example Mon Nov 23 07:59:44 2026\n",
    "RPLINE": "Return-Path: <s@o.example>\n",
}
QUEUE = '#!/bin/sh\ncat >"$KEEP/message"\ncat <&1 >"$KEEP/envelope"\nexit ${QQ:-0}\n'
SETTING = f"mount --bind q {HOME} && mount --bind etc /etc && cd w && exec "
_qp = re.compile(rb"qp \d+")


class Outcome(dict[str, object]):
    """Exit code, output, files made, and what the queue program was given."""


def demand_originals() -> None:
    """Skip where they cannot be run."""
    if not all(os.path.exists(file) for file in ORIGINALS.values()):
        pytest.skip("fastforward and dot-forward are not installed")
    if os.geteuid() != 0:
        pytest.skip("only root can mount things over Debian's directories")


def run(
    program: str,
    *args: str,
    original: bool,
    stdin: bytes = b"",
    files: Mapping[str, bytes | None] = {},
    aliases: bytes | None = None,
    control: Mapping[str, str] = CONTROL,
    env: Mapping[str, str | None] = {},
    after: Sequence[str] = (),
    shell: str = '"$@" <../stdin',
) -> Outcome:
    """Run a program among `files` (None: a directory).  `after`: programs that then show a file, `NAME FILE`.

    `shell`: how it is run, where that matters."""
    with tempfile.TemporaryDirectory(prefix="stage-") as made:
        here = Path(made)
        _set(here, files, aliases, control)
        (here / "stdin").write_bytes(stdin)
        names = list(ORIGINALS)
        place = here / "bin"
        place.mkdir()
        for name in names:
            (place / name).symlink_to(ORIGINALS[name] if original else launchers.ours(name))
        environment = {**ENV, "PATH": f"{place}:{launchers.directory()}:/bin:/usr/bin", "KEEP": made}
        environment |= {"QMAILHOME": HOME, "QMAILQUEUE": "bin/qmail-queue"}
        kept = {name: value for name, value in {**environment, **env}.items() if value is not None}
        script = SETTING + f"sh -c '{shell}' sh {program} {' '.join(args)}"
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script], cwd=here, env=kept, capture_output=True, timeout=30
        )
        outcome = Outcome(code=done.returncode, out=done.stdout, err=_qp.sub(b"qp N", done.stderr))
        for name in ("message", "envelope"):
            if (here / name).exists():
                outcome[name] = (here / name).read_bytes()
        outcome["files"] = _left(here, files)
        return outcome


def _set(here: Path, files: Mapping[str, bytes | None], aliases: bytes | None, control: Mapping[str, str]) -> None:
    for name in ("q/control", "q/bin", "etc", "w"):
        (here / name).mkdir(parents=True)
    shutil.copy("/etc/passwd", here / "etc")  # the queue of ours asks who owns it
    queue = here / "q/bin/qmail-queue"
    queue.write_text(QUEUE)
    queue.chmod(0o755)
    for name, line in control.items():
        (here / "q/control" / name).write_text(line + "\n")
    if aliases is not None:
        (here / "etc/aliases").write_bytes(aliases)
    for name, content in files.items():
        if content is None:
            (here / "w" / name).mkdir()
        else:
            (here / "w" / name).write_bytes(content)


def _left(here: Path, files: Mapping[str, bytes | None]) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file that was made or changed."""
    found = {}
    for directory in ("w", "etc"):
        for file in sorted((here / directory).iterdir()):
            if file.is_file() and file.name not in ("passwd", "aliases"):
                content = file.read_bytes()
                if files.get(file.name) != content:
                    found[file.name] = (file.stat().st_mode & 0o777, content)
    return found
