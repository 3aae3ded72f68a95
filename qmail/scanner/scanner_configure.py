"""Set up the scanner: find and check engines, make the spool, write control/scanner.  qmail-scanner-configure(8).

Says what it found and what it changes, and without --install changes nothing.  Can be run again at any time: what is
there is kept, what is given on the command line is set anew.

Exits 0; 100 if the command line makes no sense, 111 if an engine that is to be asked does not work."""

from __future__ import annotations

import os

from qmail.core import instance
from qmail.core.control import Control
from qmail.scanner import installing, probing, settings
from ucspi.core import streams
from ucspi.core.command import Call, Long, LongValue, Program
from ucspi.core.failure import PermanentFailure, TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.core.instance import Instance

# Options of the original that ask for what is done anyway, or is not there to be set any more.
WITHOUT_MEANING = (
    *("qmaildir", "bindir", "etcdir", "logdir", "mime-unpacker", "silent-viruses", "lang", "redundant", "fix-mime"),
    *("unzip", "skip-text-msgs", "normalize"),
)
NOT_DONE = ("dlp-monitor",)  # unless it says no: what it does is written nowhere
FLAGS = ("batch", "skip-setuid-test", "no-QQ-check")
KINDS = {"clamd": "clamdscan", "spamd": "fast_spamassassin", "rspamd": "rspamd"}  # and their names in `scanners`

PROGRAM = Program(
    "qmail-scanner-configure",
    __doc__,
    options=(
        Long("install", "Change what has to be changed."),
        Long("ignore-eol-check", "Let NUL and carriage returns in headers pass."),
        LongValue("qs-user", "USER", "The spool's owner, who runs qmail-smtpd; qmaild."),
        LongValue("sa-faulttolerant", "YES", "yes: spamd-failure pass; no: spamd-failure defer."),
        *(
            LongValue(name, "VALUE", what[0].upper() + what[1:] + ".")
            for name, (_, what) in settings.TABLE.items()
            if name != "ignore-eol-check"
        ),
        *(LongValue(name, "NO", "Not done here: no is all it can be.") for name in NOT_DONE),
        *(LongValue(name, "VALUE", "Of the original; without meaning here.") for name in WITHOUT_MEANING),
        *(Long(name, "Of the original; without meaning here.") for name in FLAGS),
    ),
    usage="qmail-scanner-configure [ --install ] [ --OPTION value ] ...",
)


def configure(call: Call) -> int:
    """The program."""
    if call.operands:
        raise UsageFailure
    home = instance.of(call.env)
    control = Control(home.control)
    given, owner = _given(call)
    before = settings.read(control)
    after = {**before, **given}
    trouble = _engines(after, given.get("scanners") == "auto" or "scanners" not in after)
    wanted = settings.Settings(after, os.fsdecode(control.line(b"me") or b"localhost"))
    for name, value in after.items():
        if value != before.get(name):
            was = f" (was {before[name]})" if name in before else ""
            say(f"control/scanner: {name}: {value}{was}")
    if not call.given("install"):
        say("nothing is changed: that takes --install")
    elif trouble:
        say("nothing is changed")
    else:
        for line in installing.install(home, wanted, after, _owner(home, owner)):
            say(line)
        say('mail is scanned from clients whose rule for tcpserver has QMAILQUEUE="bin/qmail-scanner-queue"')
    if trouble:
        raise TemporaryFailure(trouble)
    return 0


def _given(call: Call) -> tuple[dict[str, str], str]:
    """The settings on the command line, and the user."""
    given: dict[str, str] = {}
    owner = ""
    for name, value in call.options:
        text = os.fsdecode(value or b"")
        if "\n" in text:
            raise PermanentFailure(f"--{name}: one line, not more")
        if name == "qs-user":
            owner = text
        elif name == "sa-faulttolerant":
            given["spamd-failure"] = settings.PASS if text in ("yes", "1") else settings.DEFER
        elif name == "ignore-eol-check":
            given[name] = "yes"
        elif name == "scanners" and text == "none":
            given[name] = ""
        elif name in settings.TABLE:
            given[name] = text
        elif name in NOT_DONE and text not in ("no", "0"):
            raise PermanentFailure(f"--{name} {text}: that is not done here")
        elif name in WITHOUT_MEANING or name in FLAGS:
            say(f"--{name} has no meaning here")
    return given, owner


def _engines(after: dict[str, str], search: bool) -> str:
    """Look for engines, or check those that are set; puts what was found into `after`.  Returns what is wrong."""
    if search:
        after["scanners"] = ",".join(word for kind, word in KINDS.items() if _found(kind, after))
    asked = [kind for kind, _, _ in settings.Settings(after, "localhost").engines()]
    if not asked:
        say("no engine: the own rules are all there is")
    wrong = []
    for kind in asked:
        address = os.fsencode(after.get(kind, settings.TABLE[kind][0]))
        problem = probing.check(kind, address)
        say(f"{kind} at {os.fsdecode(address)}: {problem or WORKS[kind]}")
        if problem:
            wrong.append(f"{kind}: {problem}")
    return "; ".join(wrong)


_BAIT = {"clamd": "virus", "spamd": "spam", "rspamd": "spam"}
WORKS = {kind: f"passes a clean message, finds the test {what}" for kind, what in _BAIT.items()}


def _found(kind: str, after: dict[str, str]) -> bool:
    """Is there such an engine, where it is said to be or else where it usually is?"""
    if kind in after:
        there = probing.is_there(kind, os.fsencode(after[kind]))
        if not there:
            say(f"{kind}: none at {after[kind]}")
        return there
    address = probing.find(kind)
    if address is None:
        say(f"{kind}: none found")
        return False
    after[kind] = os.fsdecode(address)
    return True


def _owner(home: Instance, name: str) -> tuple[int, int] | None:
    """uid and gid for the spool; None: who runs this.  Raises Failure."""
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        account = pwd.getpwnam(name) if name else pwd.getpwuid(home.uid("qmaild"))
    except KeyError as error:
        raise TemporaryFailure(f"unable to find user {name or 'qmaild'}") from error
    return account.pw_uid, account.pw_gid


def say(line: str) -> None:
    """One line for the administrator."""
    streams.write_all(1, os.fsencode(line) + b"\n")


main = PROGRAM.entry(configure)
