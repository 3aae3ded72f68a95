"""Install the mail system onto this machine, check it, take it off again.  qmail-setup(8).

    qmail-setup [-H home] [-P prefix] [-D destdir] [-W wheels] install | check | queue | users | remove

    install  everything: `make setup`, in the source.  Where all is as it should be it changes nothing
    check    print whatever differs in owner, mode or content, to the last file: `make setup check`
    queue    the directories of HOME and the queue alone, for programs that pipx or uv has installed
    users    the users and groups that it takes: `make users`
    remove   the programs; queue, control files, alias and users stay: `make unsetup`

Exits 0; 1 if check finds something; 100 on bad usage; 111 if something is missing or cannot be done."""

from __future__ import annotations

import os

from qmail.core import conf
from ucspi.core.command import Call, Program, Value
from ucspi.core.failure import TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.install.installation import Installation

PROGRAM = Program(
    "qmail-setup",
    __doc__,
    options=(
        Value("H", "HOME", "QMAILHOME: queue, control files and the mail programs (/var/qmail)."),
        Value("P", "PREFIX", "Where the virtual environment, the other programs and the manuals go (/usr/local)."),
        Value("D", "DESTDIR", "Install below this directory, for a package or an image that is to be run as /."),
        Value("W", "WHEELS", "Take the libraries from this directory, not from a package index."),
    ),
    usage="qmail-setup [ -H home ] [ -P prefix ] [ -D destdir ] [ -W wheels ] install | check | queue | users | remove",
    operands="COMMAND",
)


def qmail_setup(call: Call) -> int:
    """The program."""
    if len(call.operands) != 1:
        raise UsageFailure
    home, prefix = _path(call, "H", conf.HOME), _path(call, "P", conf.PREFIX)
    if not home:
        raise UsageFailure("qmail-setup: the home has to be a directory of its own")
    destdir = _path(call, "D", b"")
    command = os.fsdecode(call.operands[0])
    if command not in ("install", "check", "queue", "users", "remove"):
        raise UsageFailure
    if os.geteuid() != 0:
        raise TemporaryFailure(f"{command}: needs root; without it, `make run` serves a mail host of your own")
    os.umask(0o022)
    from qmail.install import configuration
    from qmail.install.installation import Installation

    changes: list[str] = []

    def say(line: str) -> None:
        changes.append(line)
        configuration.say(os.fsencode(line) + b"\n")

    installation = Installation(home, prefix, destdir, say)
    if command == "check":
        for line in installation.wrong():
            say(line)
        return 1 if changes else 0
    if command == "users":
        _users(home, say)
    else:
        _change(call, command, installation)
    return 0


def _change(call: Call, command: str, installation: Installation) -> None:
    if command == "install":
        from qmail.install.software import Source

        here = os.path.abspath(__file__)
        for _ in ("setup.py", "admin", "qmail"):
            here = os.path.dirname(here)
        installation.install(Source(here), os.fsdecode(call.value("W") or b""))
    elif command == "queue":
        installation.make_home()
    else:
        installation.remove()


def _users(home: str, say: object) -> None:
    from qmail.install import accounts

    for line in [*accounts.make(home), *accounts.misfits()]:
        say(line)  # type: ignore[operator]


def _path(call: Call, letter: str, default: bytes) -> str:
    """An absolute path without a slash at its end; what is not absolute would be another one at the next start."""
    path = os.fsdecode(call.value(letter) or default)
    if path and not path.startswith("/"):
        raise UsageFailure(f"qmail-setup: {path} is not an absolute path")
    return path.rstrip("/")


main = PROGRAM.entry(qmail_setup)
